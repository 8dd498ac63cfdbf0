"""Baselines that cut a graph or order its units: the expert, partitioners, m-TOPO, and what
all placers must achieve on graphs whose best placement is known."""

from __future__ import annotations

import numpy as np
import pytest
from baseline_graphs import CPU, cpus, make, op_graph
from grappler_go_training import baselines
from grappler_go_training.baselines import coplace, partition

import grappler_go

# Those that are meant to make a step of two independent branches faster. m-TOPO fills
# devices in topological order, and the expert cuts by depth where names say nothing.
_BALANCERS = [
    "metis",
    "kahip",
    "mtkahypar",
    "m_etf",
    "m_sct",
    "heft",
    "simulated_annealing",
    "genetic",
]


@pytest.mark.parametrize("name", _BALANCERS)
def test_independent_branches_go_to_two_devices(name, branches):
    machine = cpus(2)
    plan = make(name, branches, machine)
    assert _devices_used(branches, plan, machine) == [True, True]
    alone = grappler_go.simulate(branches, None, machine).step_ms
    assert grappler_go.simulate(branches, plan, machine).step_ms < 0.8 * alone


def _devices_used(graph, plan, machine):
    use = grappler_go.simulate(graph, plan, machine).devices
    return [device.busy_ms > 0 for device in use]


@pytest.mark.parametrize("name", ["m_topo", "m_etf", "m_sct", "heft"])
def test_memory_limits_move_units_elsewhere(name, branches):
    roomy = cpus(2, gbytes_per_s=0.001)
    plan = make(name, branches, roomy)
    problem = baselines.Problem(branches, roomy)
    total = int(problem.unit_bytes.sum())
    # With a link this slow the schedulers stay on one device, unless it is full.
    tight = cpus(2, memory_bytes=int(total * 0.6), gbytes_per_s=0.001)
    moved = make(name, branches, tight)
    if name != "m_topo":
        assert plan.empty
    used = np.bincount(
        np.maximum(moved.device, 0)[problem.first_op], weights=problem.unit_bytes, minlength=2
    )
    assert used.max() <= total * 0.6


def test_memory_is_charged_to_what_is_alive_at_the_peak():
    import tensorflow as tf

    def step(x):
        kept = tf.matmul(x, x)
        y = kept
        for _ in range(5):  # comes and goes: two of them at a time
            y = tf.reshape(tf.matmul(y, y), [64, 64])
        return tf.matmul(kept, y)

    graph = op_graph(step, tf.ones((64, 64)))
    machine = cpus(1)
    problem = baselines.Problem(graph, machine)
    peak = sum(grappler_go.simulate(graph, None, machine).peak_bytes.values())
    assert problem.unit_bytes.sum() == pytest.approx(peak)
    tensor = 64 * 64 * 4
    products = [op for op, kind in enumerate(graph.ops) if kind == "MatMul"]
    charged = problem.unit_bytes[problem.unit_of[products]]
    assert charged[0] == pytest.approx(tensor)
    assert sorted(charged) == pytest.approx([0] * (len(products) - 3) + [tensor] * 3)


@pytest.mark.parametrize("name", ["heft"])
def test_a_device_must_hold_the_variables_that_an_op_brings(name):
    import tensorflow as tf

    weights = [tf.Variable(tf.ones((256, 256))) for _ in range(4)]

    def step(x):
        return [tf.reduce_sum(tf.matmul(x, weight)) for weight in weights]

    graph = op_graph(step, tf.ones((4, 256)))
    total = int(graph.resident_bytes.sum())
    tight = cpus(2, memory_bytes=int(total * 0.75), gbytes_per_s=0.001)
    plan = baselines.make_plan(name, graph, tight, free_state=True)
    assert not grappler_go.simulate(graph, plan, tight).out_of_memory


@pytest.mark.parametrize("name", ["m_etf", "m_sct", "heft"])
def test_constants_go_where_they_are_read(name):
    import tensorflow as tf

    def step(x):
        a = tf.matmul(x, x) + np.full((256, 256), 2.0, np.float32)
        b = tf.matmul(x, x, transpose_b=True) + np.full((256, 256), 3.0, np.float32)
        return tf.reduce_sum(tf.matmul(a, a)), tf.reduce_sum(tf.matmul(b, b))

    graph = op_graph(step, tf.ones((256, 256)))
    plan = make(name, graph, cpus(2))
    problem = baselines.Problem(graph, cpus(2))
    device = np.maximum(plan.device, 0)
    t = problem.tensors
    checked = 0
    for op in np.flatnonzero(problem.has_flag("constant")):
        readers = t.edge_dst[t.edge_src == op]
        if len(readers) == 1 and not problem.pinned[problem.unit_of[op]]:
            assert device[op] == device[readers[0]]
            checked += device[op] == 1
    assert checked > 0


def test_one_device_takes_the_fastest(branches):
    slow = {"name": f"{CPU}0", "type": "CPU", "gflops": 10.0}
    fast = {"name": f"{CPU}1", "type": "CPU", "gflops": 100.0}
    gpu = {"name": "/job:localhost/replica:0/task:0/device:GPU:0", "type": "GPU"}
    machine = grappler_go.Machine("mixed", devices=[slow, fast, gpu | {"gflops": 1e4}])
    plan = make("one_device", branches, machine)
    # The faster device of another type is not for ops that stand on a CPU.
    assert {int(plan.device[i]) for i, op in enumerate(branches.ops) if op == "MatMul"} == {1}


def test_the_expert_gives_each_scope_a_device(branches):
    plan = make("human_expert", branches, cpus(2))
    products = [i for i, op in enumerate(branches.ops) if op == "MatMul"]
    sides = {}
    for i in products:
        sides.setdefault(branches.names[i].split("/")[-2], set()).add(int(plan.device[i]))
    assert sorted(sides) == ["left", "right"]
    assert sorted(map(list, sides.values())) == [[-1], [1]]


def test_the_expert_keeps_the_backward_pass_with_its_layer():
    import tensorflow as tf

    x = tf.ones((256, 256))

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            h = x
            for k in range(4):
                with tf.name_scope(f"layer{k}"):
                    h = tf.tanh(tf.matmul(h, h))
            loss = tf.reduce_sum(h)
        return tape.gradient(loss, x)

    graph = op_graph(step, x)
    plan = make("human_expert", graph, cpus(2))
    blocks = {}
    for i, name in enumerate(graph.names):
        if graph.ops[i] == "MatMul":
            layer = next(part for part in name.split("/") if part.startswith("layer"))
            blocks.setdefault(layer, set()).add(int(plan.device[i]))
    assert blocks == {"layer0": {-1}, "layer1": {-1}, "layer2": {1}, "layer3": {1}}


@pytest.mark.parametrize("name", ["metis", "kahip", "mtkahypar"])
def test_partitions_are_balanced_by_work(name):
    """Four products of matrices and forty ops of next to no work."""
    import tensorflow as tf

    def step(x, y):
        for _ in range(20):
            y = tf.tanh(tf.sin(y))
        return [tf.reduce_sum(tf.matmul(x, tf.roll(x, k, 0))) for k in range(4)], y

    graph = op_graph(step, tf.ones((256, 256)), tf.ones((8,)))
    problem = baselines.Problem(graph, cpus(2))
    plan = make(name, graph, cpus(2))
    products = [i for i, op in enumerate(graph.ops) if op == "MatMul"]
    assert sorted(plan.device[products]) == [-1, -1, 1, 1]
    load = np.bincount(np.maximum(plan.device, 0), problem.micros[:, 0], minlength=2)
    assert load.max() / load.sum() < 0.6


@pytest.mark.parametrize("name", ["kahip", "mtkahypar"])
def test_partitions_weigh_ops_rather_than_count_them(name):
    """One product as long as eight others: counted, four of those would join it. (METIS
    leaves so small a graph, half of whose weight is one vertex, in one part.)"""
    import tensorflow as tf

    def step(x, y):
        return tf.matmul(x, x), *(tf.matmul(y, tf.roll(y, k, 0)) for k in range(8))

    graph = op_graph(step, tf.ones((512, 512)), tf.ones((256, 256)))
    problem = baselines.Problem(graph, cpus(2))
    device = np.maximum(make(name, graph, cpus(2)).device, 0)
    load = np.bincount(device, problem.micros[:, 0], minlength=2)
    assert load.max() / load.sum() < 0.6


@pytest.mark.parametrize("part", [0, 1])
def test_the_part_with_the_pinned_units_stays_where_they_are(part, branches):
    problem = baselines.Problem(branches, cpus(2))
    vertices = partition._vertices(problem)
    together = np.full(len(vertices.weight), part)
    assert partition._placed(problem, vertices, together, "all").empty
    apart = np.where(np.arange(len(vertices.weight)) == 0, part, 1 - part)
    moved = partition._placed(problem, vertices, apart, "rest")
    assert set(moved.device[problem.first_op[problem.movable]]) == {1}


def test_m_topo_balances_memory(branches):
    machine = cpus(2)
    problem = coplace.CoplacedProblem(baselines.Problem(branches, machine))
    plan = make("m_topo", branches, machine)
    device = np.where(plan.device < 0, problem.home, plan.device)[problem.first_op]
    used = np.bincount(device, weights=problem.unit_bytes, minlength=2)
    assert used.max() <= problem.unit_bytes.sum() / 2 + problem.unit_bytes.max() * 1.001
    assert used.min() > 0
    # In topological order of what reads anything, devices only go up.
    reads = np.flatnonzero(np.diff(problem.tensors.in_ptr) > 0)
    first = np.full(problem.num_units, branches.num_ops)
    np.minimum.at(first, problem.unit_of[reads], reads)
    movable = problem.movable[np.argsort(first[problem.movable], kind="stable")]
    assert (np.diff(device[movable]) >= 0).all()


def test_partitioners_are_told_microseconds_and_bytes(branches):
    """METIS itself is too lenient with small graphs to show it."""
    problem = baselines.Problem(branches, cpus(2))
    vertices = partition._vertices(problem)
    of = vertices.of_unit
    # No memory limits here: nothing but time. At least 1 each.
    share = problem.unit_mean_micros / problem.unit_mean_micros.sum()
    told = vertices.weight[of[problem.movable]]
    np.testing.assert_allclose(told, np.maximum(1, share[problem.movable] * 1e8), atol=1)
    assert told.max() > 1000 * told.min()
    xadj, adjncy, weights = partition._adjacency(problem, vertices)
    src, dst, nbytes = problem.unit_edges
    pairs: dict[tuple[int, int], float] = {}
    for a, b, size in zip(of[src].tolist(), of[dst].tolist(), nbytes.tolist(), strict=True):
        if a != b:
            for pair in ((a, b), (b, a)):
                pairs[pair] = pairs.get(pair, 0.0) + size
    assert len(adjncy) == len(weights) == len(pairs)
    scale = 2e8 / sum(pairs.values())
    for vertex in range(len(vertices.weight)):
        for k in range(xadj[vertex], xadj[vertex + 1]):
            expected = max(1.0, pairs[vertex, int(adjncy[k])] * scale)
            assert weights[k] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("name", ["metis", "kahip", "mtkahypar"])
def test_partitions_send_few_bytes_rather_than_few_tensors(name):
    """Two chains of products, tied by a number for each pair of them: to halve both
    chains would cut fewer edges."""
    import tensorflow as tf

    def step(x, y):
        for _ in range(10):
            x = tf.matmul(x, x)
            y = tf.matmul(y, y) + tf.reduce_max(x)
        return x, y

    graph = op_graph(step, tf.ones((256, 256)), tf.ones((256, 256)))
    plan = make(name, graph, cpus(2))
    step = grappler_go.simulate(graph, plan, cpus(2))
    assert min(device.busy_ms for device in step.devices) > 0.3 * step.step_ms
    # One chain's start goes to the other device and its end comes back. METIS and
    # KaHIP leave an end of that chain where it starts.
    least = 2 * 256 * 256 * 4
    assert step.transfer_bytes < (1.1 if name == "mtkahypar" else 2.1) * least


def test_the_experts_layers_end_neither_at_steps_nor_between_layers():
    """A recurrent network whose layers are entered anew at every step, and ops in the
    scope of the whole model."""
    import tensorflow as tf

    kernels = [tf.Variable(tf.ones((1024, 1024))) for _ in range(2)]

    def step(x):
        h = [x, x]
        with tf.name_scope("model"):
            for _ in range(6):
                y = x
                for k, kernel in enumerate(kernels):
                    with tf.name_scope(f"layer{'ab'[k]}"):
                        h[k] = tf.tanh(tf.matmul(h[k], kernel) + y)
                    y = tf.sin(h[k])
        return y

    graph = op_graph(step, tf.ones((1024, 1024)))
    machine = grappler_go.load_machine("p100x2")
    plan = baselines.make_plan("human_expert", graph, machine, free_state=True)
    names = graph.names
    for layer in "ab":
        products = [op for op, kind in enumerate(graph.ops) if "MatMul" in kind]
        own = [op for op in products if f"layer{layer}" in names[op]]
        assert len(own) == 6
        assert len(set(plan.device[own].tolist())) == 1
    for op, kind in enumerate(graph.ops):
        if kind == "Sin" and "model/Sin" in names[op]:
            producer = graph.in_src[graph.in_ptr[op]]
            assert plan.device[op] == plan.device[producer]
