"""Baselines: what each must achieve on graphs whose best plan is known, and that every
plan is one that may be applied."""

from __future__ import annotations

import dataclasses
import sys

import models
import numpy as np
import pytest
from grappler_go_training import baselines
from grappler_go_training.baselines import (
    baechi,
    coarsen,
    contraction,
    costs,
    list_schedule,
    partition,
    sct_lp,
)

import grappler_go

_CPU = "/job:localhost/replica:0/task:0/device:CPU:"
_OPTIONAL = {"metis": "pymetis", "kahip": "kahip", "mtkahypar": "mtkahypar"}
_PLACERS = [name for name, one in baselines.BASELINES.items() if one.decides == "device"]
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
_BUDGET = baselines.Budget(plans=150)


def _machine(count=2, memory_bytes=0, gbytes_per_s=10.0, **rates):
    """CPUs of one core with links of 10 microseconds."""
    device = {"type": "CPU", "gflops": 100.0, "gbytes_per_s": 20.0, "cores": 1}
    device |= {"memory_bytes": memory_bytes} | rates
    link = {"gbytes_per_s": gbytes_per_s, "latency_us": 10.0}
    return grappler_go.Machine(
        "test",
        devices=[{"name": f"{_CPU}{i}", **device} for i in range(count)],
        links=[{"src": a, "dst": b, **link} for a in range(count) for b in range(count) if a != b],
    )


def _captured(function, *arguments):
    return grappler_go.capture(function, *arguments)[0].op_graph()


@pytest.fixture(scope="module")
def branches():
    """Two chains of products of matrices that meet in a sum."""
    import tensorflow as tf

    def step(x):
        a = b = x
        with tf.name_scope("left"):
            for _ in range(4):
                a = tf.tanh(tf.matmul(a, a))
        with tf.name_scope("right"):
            for _ in range(4):
                b = tf.sin(tf.matmul(b, b))
        return tf.reduce_sum(a) + tf.reduce_sum(b)

    return _captured(step, tf.ones((512, 512)))


@pytest.fixture(scope="module")
def training():
    """A training step with variables and a backward pass."""
    model = models.mlp(layers=6, width=512, batch=256)
    return _captured(model.train, *model.inputs)


@pytest.fixture(scope="module")
def activations():
    """A training step whose memory is what the forward pass keeps for the backward."""
    import tensorflow as tf

    weights = tf.Variable(tf.random.stateless_normal((32, 32), (1, 2)))

    def step(x):
        with tf.GradientTape() as tape:
            for _ in range(16):
                x = tf.sin(tf.matmul(x, weights))
            loss = tf.reduce_sum(x)
        weights.assign_sub(0.1 * tape.gradient(loss, weights))
        return loss

    return _captured(step, tf.ones((4096, 32)))


def _make(name, graph, machine, budget=_BUDGET, seed=0):
    if name in _OPTIONAL:
        pytest.importorskip(_OPTIONAL[name])
    if name == "hdp":  # a tenth of a second a plan, where others take a millisecond
        budget = dataclasses.replace(budget, plans=min(budget.plans, 12))
    return baselines.make_plan(name, graph, machine, budget, seed)


def _devices_used(graph, plan, machine):
    use = grappler_go.simulate(graph, plan, machine).devices
    return [device.busy_ms > 0 for device in use]


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_every_plan_is_valid_named_and_repeatable(name, training):
    machine = _machine(3)
    plan = _make(name, training, machine, seed=7)
    plan.validate(training)
    assert plan.policy == f"baseline:{name}"
    assert plan.machine == machine.name
    assert _make(name, training, machine, seed=7).to_json() == plan.to_json()
    rewritten = training.graphdef if plan.empty else _apply(plan, training)
    assert rewritten


def _apply(plan, graph):
    from grappler_go import _core

    rewritten = _core.apply_plan(plan, graph)
    _core.verify_rewrite(graph, rewritten, plan.devices)
    return rewritten


@pytest.mark.parametrize("name", _BALANCERS)
def test_independent_branches_go_to_two_devices(name, branches):
    machine = _machine(2)
    plan = _make(name, branches, machine)
    assert _devices_used(branches, plan, machine) == [True, True]
    alone = grappler_go.simulate(branches, None, machine).step_ms
    assert grappler_go.simulate(branches, plan, machine).step_ms < 0.8 * alone


def test_the_expert_gives_each_scope_a_device(branches):
    plan = _make("human_expert", branches, _machine(2))
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

    graph = _captured(step, x)
    plan = _make("human_expert", graph, _machine(2))
    blocks = {}
    for i, name in enumerate(graph.names):
        if graph.ops[i] == "MatMul":
            layer = next(part for part in name.split("/") if part.startswith("layer"))
            blocks.setdefault(layer, set()).add(int(plan.device[i]))
    assert blocks == {"layer0": {-1}, "layer1": {-1}, "layer2": {1}, "layer3": {1}}


def test_one_device_takes_the_fastest(branches):
    slow = {"name": f"{_CPU}0", "type": "CPU", "gflops": 10.0}
    fast = {"name": f"{_CPU}1", "type": "CPU", "gflops": 100.0}
    gpu = {"name": "/job:localhost/replica:0/task:0/device:GPU:0", "type": "GPU"}
    machine = grappler_go.Machine("mixed", devices=[slow, fast, gpu | {"gflops": 1e4}])
    plan = _make("one_device", branches, machine)
    # The faster device of another type is not for ops that stand on a CPU.
    assert {int(plan.device[i]) for i, op in enumerate(branches.ops) if op == "MatMul"} == {1}


@pytest.mark.parametrize("name", ["metis", "kahip", "mtkahypar"])
def test_partitions_are_balanced_by_work(name):
    """Four products of matrices and forty ops of next to no work."""
    import tensorflow as tf

    def step(x, y):
        for _ in range(20):
            y = tf.tanh(tf.sin(y))
        return [tf.reduce_sum(tf.matmul(x, tf.roll(x, k, 0))) for k in range(4)], y

    graph = _captured(step, tf.ones((256, 256)), tf.ones((8,)))
    problem = baselines.Problem(graph, _machine(2))
    plan = _make(name, graph, _machine(2))
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

    graph = _captured(step, tf.ones((512, 512)), tf.ones((256, 256)))
    problem = baselines.Problem(graph, _machine(2))
    device = np.maximum(_make(name, graph, _machine(2)).device, 0)
    load = np.bincount(device, problem.micros[:, 0], minlength=2)
    assert load.max() / load.sum() < 0.6


@pytest.mark.parametrize("part", [0, 1])
def test_the_part_with_the_pinned_units_stays_where_they_are(part, branches):
    problem = baselines.Problem(branches, _machine(2))
    vertices = partition._vertices(problem)
    together = np.full(len(vertices.weight), part)
    assert partition._placed(problem, vertices, together, "all").empty
    apart = np.where(np.arange(len(vertices.weight)) == 0, part, 1 - part)
    moved = partition._placed(problem, vertices, apart, "rest")
    assert set(moved.device[problem.first_op[problem.movable]]) == {1}


def test_a_missing_package_says_how_to_install_it(branches, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(baselines.MissingPackage, match=r"pip install grappler-go\[baselines\]"):
        baselines.make_plan("metis", branches, _machine(2))
    rows = baselines.run_baselines(branches, _machine(2), ["metis", "heft"])
    assert "pip install" in rows[0].error
    assert rows[0].step_ms is None
    assert rows[1].step_ms > 0


def test_m_topo_balances_memory(branches):
    machine = _machine(4)
    problem = baselines.Problem(branches, machine)
    plan = _make("m_topo", branches, machine)
    device = np.where(plan.device < 0, problem.home, plan.device)[problem.first_op]
    used = np.bincount(device, weights=problem.unit_bytes, minlength=4)
    assert used.max() <= problem.unit_bytes.sum() / 4 + problem.unit_bytes.max() * 1.001
    assert used.min() > 0
    # In topological order, devices only go up.
    movable = device[problem.movable]
    assert (np.diff(movable) >= 0).all()


@pytest.mark.parametrize("name", ["m_topo", "m_etf", "m_sct", "heft"])
def test_memory_limits_move_units_elsewhere(name, branches):
    roomy = _machine(2, gbytes_per_s=0.001)
    plan = _make(name, branches, roomy)
    problem = baselines.Problem(branches, roomy)
    total = int(problem.unit_bytes.sum())
    # With a link this slow the schedulers stay on one device, unless it is full.
    tight = _machine(2, memory_bytes=int(total * 0.6), gbytes_per_s=0.001)
    moved = _make(name, branches, tight)
    if name != "m_topo":
        assert plan.empty
    used = np.bincount(
        np.maximum(moved.device, 0)[problem.first_op], weights=problem.unit_bytes, minlength=2
    )
    assert used.max() <= total * 0.6


def test_favourite_children_stay_together():
    """A fork of two children over a slow link: one follows its parent without a
    transfer, and m-SCT waits for it where m-ETF lets another op in."""
    import tensorflow as tf

    def step(x):
        a = tf.tanh(tf.matmul(x, x))
        left = tf.matmul(a, a)
        right = tf.matmul(a, x)
        return tf.reduce_sum(tf.matmul(left, left)), tf.reduce_sum(tf.matmul(right, right))

    graph = _captured(step, tf.ones((256, 256)))
    machine = _machine(2, gbytes_per_s=1.0)
    problem = baselines.Problem(graph, machine)
    child = sct_lp.favourite_children(problem)
    assert len(set(child) - {-1}) == len([c for c in child if c >= 0])
    plan = _make("m_sct", graph, machine)
    device = np.zeros(graph.num_ops, int) if plan.device is None else np.maximum(plan.device, 0)
    pairs = [
        (i, c) for i, c in enumerate(child) if c >= 0 and graph.ops[i] == graph.ops[c] == "MatMul"
    ]
    assert len(pairs) >= 2
    assert all(device[i] == device[c] for i, c in pairs)
    # The program has one child of the fork as favourite, not both nor none.
    fork = graph.ops.index("Tanh")
    assert graph.ops[child[fork]] == "MatMul"


def test_the_favourite_child_is_on_the_critical_path():
    """Of one long op and a chain of short ones with more transfers between them, the long
    one follows without a transfer."""
    import tensorflow as tf

    def step(x):
        a = tf.sin(x)
        chain = a
        for _ in range(4):
            chain = tf.tanh(chain)
        return tf.matmul(a, a), chain

    graph = _captured(step, tf.ones((1024, 1024)))
    problem = baselines.Problem(graph, _machine(2))
    child = sct_lp.favourite_children(problem)
    assert graph.ops[child[graph.ops.index("Sin")]] == "MatMul"


def test_a_device_is_kept_for_the_favourite_child(branches):
    problem = baselines.Problem(branches, _machine(2))
    loop = baechi._EarliestStart(problem, [-1] * branches.num_ops)
    child, other = branches.ops.index("Tanh"), branches.ops.index("Sin")
    loop._kept[0] = (child, 1000.0)
    loop._everywhere_at[other] = 500.0
    assert loop._start(child, 0, 20.0) == 20.0
    assert loop._start(other, 0, 20.0) == 1000.0
    assert loop._start(other, 1, 20.0) == 20.0
    # One that could start anywhere is urgent.
    loop._everywhere_at[other] = 10.0
    assert loop._start(other, 0, 20.0) == 20.0


def test_the_linear_program_is_solved_for_clusters_of_large_graphs(training):
    problem = baselines.Problem(training, _machine(2))
    child = np.array(sct_lp.favourite_children(problem, max_nodes=20))
    parents = np.flatnonzero(child >= 0)
    assert len(parents) > 10
    edges = set(zip(problem.tensors.edge_src, problem.tensors.edge_dst, strict=True))
    assert all((i, child[i]) in edges for i in parents)
    assert len(set(child[parents])) == len(parents)


@pytest.mark.parametrize("max_nodes", [10, 20, 60])
def test_coarse_graphs_are_small_and_acyclic(training, max_nodes):
    problem = baselines.Problem(training, _machine(2))
    cluster = coarsen.coarsen_acyclic(problem, max_nodes)
    assert 1 < cluster.max() + 1 <= max_nodes
    t = problem.tensors
    assert _is_acyclic(cluster[t.edge_src], cluster[t.edge_dst])


def _is_acyclic(src, dst):
    edges = {(a, b) for a, b in zip(src.tolist(), dst.tolist(), strict=True) if a != b}
    while edges:
        readers = {b for _, b in edges}
        left = {(a, b) for a, b in edges if a in readers}
        if len(left) == len(edges):
            return False
        edges = left
    return True


def test_groups_of_units_are_few_and_leave_out_what_stays(training):
    problem = baselines.Problem(training, _machine(2))
    group = coarsen.group_units(problem, 10)
    assert set(np.flatnonzero(group >= 0)) == set(problem.movable)
    assert set(group[problem.movable]) == set(range(group.max() + 1))
    assert group.max() < 10
    micros = np.bincount(group[problem.movable], problem.unit_micros[problem.movable, 0])
    assert micros.max() < 0.75 * micros.sum()


def test_units_are_what_the_core_lets_move(training):
    """Each op that may move, does so with its unit, and the core accepts it; of the
    others it accepts none."""
    problem = baselines.Problem(training, _machine(2))
    assert 0 < problem.pinned.sum() < problem.num_units
    for unit in range(problem.num_units):
        plan = grappler_go.Plan(training)
        plan.devices = [f"{_CPU}1"]
        plan.device = np.where(problem.unit_of == unit, 0, -1)
        if problem.pinned[unit]:
            with pytest.raises(ValueError, match="may not be moved"):
                plan.validate(training)
        else:
            plan.validate(training)


def test_colocated_ops_share_a_device():
    import tensorflow as tf

    def step(x):
        a = tf.matmul(x, x, name="first")
        for k in range(6):
            with tf.compat.v1.colocate_with(a.op):
                a = tf.matmul(a, x, name=f"next{k}")
        return a

    with tf.Graph().as_default() as built:
        x = tf.compat.v1.placeholder(tf.float32, (256, 256))
        tf.identity(step(x), name="result")
    graph = grappler_go.OpGraph(built.as_graph_def().SerializeToString(), ["result"])
    groups = graph.colocation_group
    assert (groups >= 0).sum() >= 6
    for name in _PLACERS:
        if name in _OPTIONAL and name not in _installed():
            continue
        plan = _make(name, graph, _machine(2))
        plan.validate(graph)
        if plan.device is not None:
            assert len(set(plan.device[groups >= 0])) == 1


def test_tensors_that_cannot_be_sent_keep_their_readers():
    import tensorflow as tf

    with tf.Graph().as_default() as built:
        words = tf.compat.v1.placeholder(tf.string, (4,), name="words")
        tf.identity(tf.identity(words, name="copy"), name="result")
        tf.identity(tf.compat.v1.placeholder(tf.float32, (4,), name="numbers"), name="other")
    graph = grappler_go.OpGraph(built.as_graph_def().SerializeToString(), ["result"])
    problem = baselines.Problem(graph, _machine(2))
    unit = {name: int(problem.unit_of[graph.find(name)]) for name in graph.names}
    assert unit["words"] == unit["copy"] == unit["result"]
    assert problem.pinned[unit["copy"]]
    assert unit["numbers"] != unit["other"]
    assert not problem.pinned[unit["other"]]


@pytest.mark.parametrize("name", ["m_etf", "m_sct", "heft"])
def test_constants_go_where_they_are_read(name):
    import tensorflow as tf

    def step(x):
        a = tf.matmul(x, x) + np.full((256, 256), 2.0, np.float32)
        b = tf.matmul(x, tf.sin(x)) + np.full((256, 256), 3.0, np.float32)
        return tf.reduce_sum(tf.matmul(a, a)), tf.reduce_sum(tf.matmul(b, b))

    graph = _captured(step, tf.ones((256, 256)))
    plan = _make(name, graph, _machine(2))
    problem = baselines.Problem(graph, _machine(2))
    device = np.maximum(plan.device, 0)
    t = problem.tensors
    checked = 0
    for op in np.flatnonzero(problem.has_flag("constant")):
        readers = t.edge_dst[t.edge_src == op]
        if len(readers) == 1 and not problem.pinned[problem.unit_of[op]]:
            assert device[op] == device[readers[0]]
            checked += device[op] == 1
    assert checked > 0


def _installed():
    import importlib.util

    return [n for n, package in _OPTIONAL.items() if importlib.util.find_spec(package)]


def test_times_are_the_simulators(training):
    machine = _machine(2, cores=4)
    micros = costs.op_micros(training, machine)
    step = grappler_go.simulate(training, None, _machine(1, cores=4), inter_op_threads=1)
    assert micros[:, 0].sum() == pytest.approx(step.step_ms * 1e3)
    np.testing.assert_array_equal(micros[:, 0], micros[:, 1])


def test_ranks_are_longest_paths(branches):
    problem = baselines.Problem(branches, _machine(2))
    ranks = list_schedule.upward_ranks(problem)
    t = problem.tensors
    transfer = 10.0 + t.bytes[t.edge_tensor] / 10e3  # 10 GB/s
    for op in range(branches.num_ops):
        out = t.edge_src == op
        below = (ranks[t.edge_dst[out]] + transfer[out]).max(initial=0.0)
        assert ranks[op] == pytest.approx(problem.micros[op].mean() + below)


@pytest.mark.parametrize("name", ["simulated_annealing", "genetic"])
@pytest.mark.parametrize("plans", [0, 1, 2, 17])
def test_searches_keep_their_budget_and_never_end_worse(name, plans, training, monkeypatch):
    machine = _machine(2)
    simulated = []
    real = grappler_go.simulate_plans

    def counted(graph, several, *arguments, **options):
        results = real(graph, several, *arguments, **options)
        simulated.extend(one.step_ms for one in results)
        return results

    monkeypatch.setattr(grappler_go, "simulate_plans", counted)
    plan = _make(name, training, machine, baselines.Budget(plans=plans), seed=3)
    assert len(simulated) <= plans
    if plans == 17:
        assert len(simulated) == plans
    step_ms = grappler_go.simulate(training, plan, machine).step_ms
    assert step_ms <= grappler_go.simulate(training, None, machine).step_ms
    # What is returned is the best that was looked at.
    assert step_ms <= min(simulated, default=step_ms)


def test_annealing_is_better_than_a_random_walk(training):
    machine = _machine(2)
    budget = baselines.Budget(plans=300)
    steps = [
        grappler_go.simulate(
            training, _make("simulated_annealing", training, machine, budget, seed), machine
        ).step_ms
        for seed in range(3)
    ]
    alone = grappler_go.simulate(training, None, machine).step_ms
    assert np.median(steps) < 0.72 * alone


def test_a_budget_in_seconds_ends_a_search(training):
    budget = baselines.Budget(plans=10**9, seconds=0.2)
    for name in ("simulated_annealing", "genetic"):
        [row] = baselines.run_baselines(training, _machine(2), [name], budget)
        assert row.seconds < 2


def test_out_of_memory_leads_searches_to_plans_that_fit(activations):
    free = _machine(2)
    peak = grappler_go.simulate(activations, None, free).peak_bytes[f"{_CPU}0"]
    tight = _machine(2, memory_bytes=int(peak * 0.75))
    assert grappler_go.simulate(activations, None, tight).out_of_memory
    for name in ("simulated_annealing", "genetic"):
        plan = _make(name, activations, tight)
        assert not grappler_go.simulate(activations, plan, tight).out_of_memory


def test_priority_fusion_saves_time_and_keeps_only_what_pays(training):
    machine = _machine(1)
    before = grappler_go.simulate(training, None, machine).step_ms
    plan = _make("priority_fusion", training, machine)
    assert plan.num_groups > 0
    assert grappler_go.simulate(training, plan, machine).step_ms < before
    # Without any one of its groups the step takes longer.
    for group in range(plan.num_groups):
        less = plan.copy()
        less.fusion_group = np.where(plan.fusion_group == group, -1, plan.fusion_group)
        assert (
            grappler_go.simulate(training, less, machine).step_ms
            > grappler_go.simulate(training, plan, machine).step_ms
        )


def test_the_merge_that_saves_most_comes_first():
    """Sin -> Mul -> Tanh -> Mul -> Sum with a way around from Sin, which XLA cannot
    compile, to the second Mul: Sin can be in a group with the first Mul or that with the
    second, and only the latter saves a large tensor."""
    import tensorflow as tf

    def step(x, y):
        small = tf.sin(y)
        around = tf.reshape(tf.py_function(lambda v: v, [small], tf.float32), [])
        return tf.reduce_sum(tf.tanh(small * x) * around)

    graph = _captured(step, tf.ones((1024, 1024)), tf.ones(()))
    large = [i for i, op in enumerate(graph.ops) if op in ("Mul", "Tanh", "Sum")]
    groups = _make("priority_fusion", graph, _machine(1)).fusion_group
    assert set(groups[large]) == {0}
    assert groups[graph.ops.index("Sin")] == -1
    # In topological order the small one comes first.
    groups = _make("topological_fusion", graph, _machine(1)).fusion_group
    assert len(set(groups[large])) == 2


def test_no_group_writes_a_variable_before_it_reads_it():
    import tensorflow as tf

    v = tf.Variable(tf.zeros((64, 64)))

    def step(x):
        v.assign_add(tf.sin(x))
        return tf.tanh(v.read_value()) + 1.0

    graph = _captured(step, tf.ones((64, 64)))
    problem = baselines.Problem(graph, _machine(1))
    writes = np.flatnonzero(problem.has_flag("writes_variable"))
    reads = np.flatnonzero(problem.has_flag("reads_variable") & (np.arange(graph.num_ops) > 0))
    after = [r for r in reads if r > writes[0] and r not in writes]
    assert len(writes) == len(after) == 1
    plan = _make("topological_fusion", graph, _machine(1))
    assert plan.fusion_group[writes[0]] >= 0
    assert plan.fusion_group[writes[0]] != plan.fusion_group[after[0]]


def test_merging_keeps_the_graph_acyclic(training):
    problem = baselines.Problem(training, _machine(1))
    merged = contraction.Contraction(problem)
    t = problem.tensors
    random = np.random.default_rng(0)
    joined = 0
    for k in random.permutation(len(t.edge_src)):
        a, b = merged.find(int(t.edge_src[k])), merged.find(int(t.edge_dst[k]))
        if a != b and random.random() < 0.7:
            joined += merged.merge(a, b) >= 0
    node = np.array([merged.find(op) for op in range(training.num_ops)])
    assert joined > training.num_ops / 3
    assert _is_acyclic(node[t.edge_src], node[t.edge_dst])


def test_auto_clustering_takes_more_than_topological_fusion(training):
    everything = _make("auto_clustering", training, _machine(1))
    steps = _make("topological_fusion", training, _machine(1))
    assert (everything.fusion_group >= 0).sum() > (steps.fusion_group >= 0).sum() > 0
    assert everything.num_groups < steps.num_groups
    assert _make("no_fusion", training, _machine(1)).empty


def test_the_critical_path_comes_first():
    """A long chain that becomes ready behind many short ops: first come, first served
    leaves it for last, and everyone waits for it."""
    import tensorflow as tf

    def step(x, y):
        short = [tf.reduce_sum(tf.matmul(x, x + float(k))) for k in range(8)]
        with tf.device("CPU:0"):
            a = tf.matmul(y, y)
        for _ in range(6):
            a = tf.matmul(a, y)
        return tf.add_n(short) + tf.reduce_sum(a)

    graph = _captured(step, tf.ones((256, 256)), tf.ones((256, 256)))
    # The chain alternates between two devices, so that its wait leaves one of them idle.
    chain = [i for i, op in enumerate(graph.ops) if op == "MatMul" and _is_in_chain(graph, i)]
    problem = baselines.Problem(graph, _machine(2))
    plan = _make("critical_path", graph, _machine(1))
    position = _order_of(graph, plan, _machine(1))
    ranks = list_schedule.upward_ranks(problem, transfers=False)
    first = max(chain, key=lambda i: ranks[i])
    others = [i for i, op in enumerate(graph.ops) if op == "MatMul" and i not in chain]
    assert all(position[first] < position[i] for i in others)
    lifo = _make("lifo", graph, _machine(1))
    assert lifo.order != plan.order
    assert _make("fifo", graph, _machine(1)).empty


def _is_in_chain(graph, op):
    inputs = graph.in_src[graph.in_ptr[op] : graph.in_ptr[op + 1]]
    return "AddV2" not in {graph.ops[i] for i in inputs}


def _order_of(graph, plan, machine):
    tasks = grappler_go.simulate(graph, plan, machine, timeline=True).timeline.tasks
    return dict(zip(tasks["op"].tolist(), tasks["start"].tolist(), strict=True))


def test_sqrt_n_recomputation_lowers_the_peak(activations):
    machine = _machine(1)
    before = grappler_go.simulate(activations, None, machine)
    after = grappler_go.simulate(activations, _make("sqrt_n", activations, machine), machine)
    [peak_before], [peak_after] = before.peak_bytes.values(), after.peak_bytes.values()
    assert peak_after < 0.75 * peak_before
    # It runs part of the forward pass again, and no more than that.
    assert before.step_ms < after.step_ms < 1.5 * before.step_ms


def test_budgeted_recomputation_meets_the_limit_and_does_no_more(activations):
    [peak] = grappler_go.simulate(activations, None, _machine(1)).peak_bytes.values()
    assert _make("budgeted", activations, _machine(1, memory_bytes=2 * peak)).empty
    loose, tight = (_machine(1, memory_bytes=int(share * peak)) for share in (0.9, 0.65))
    plans = [_make("budgeted", activations, machine) for machine in (loose, tight)]
    steps = [
        grappler_go.simulate(activations, plan, machine)
        for plan, machine in zip(plans, (loose, tight), strict=True)
    ]
    assert not any(step.out_of_memory for step in steps)
    assert plans[0].num_recomputed > 0
    assert steps[0].step_ms <= steps[1].step_ms


def test_rows_say_what_a_table_needs(branches):
    seen = []
    rows = baselines.run_baselines(
        branches,
        _machine(2, memory_bytes=1000),
        ["tensorflow_default", "heft", "sqrt_n"],
        progress=lambda name, done, total: seen.append((name, done, total)),
    )
    assert [row.name for row in rows] == ["tensorflow_default", "heft", "sqrt_n"]
    assert all(row.out_of_memory and row.plan is not None and not row.error for row in rows)
    assert list(rows[0].peak_bytes) == [f"{_CPU}0", f"{_CPU}1"]
    assert seen == [("tensorflow_default", 0, 3), ("heft", 1, 3), ("sqrt_n", 2, 3), ("", 3, 3)]
    values = rows[0].to_dict()
    assert "plan" not in values
    assert set(values) == {f.name for f in dataclasses.fields(rows[0])} - {"plan"}


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_nothing_to_decide_is_an_empty_plan(name, branches):
    empty = grappler_go.OpGraph(b"")
    plan = _make(name, empty, _machine(2))
    plan.validate(empty)
    assert plan.empty
    if baselines.BASELINES[name].decides == "device":
        assert _make(name, branches, _machine(1)).empty


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_unknown_shapes_count_as_nothing(name):
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None), tf.float32)]
    step = tf.function(lambda x: tf.reduce_sum(tf.matmul(tf.tanh(x), x)), signature)
    graph = _captured(step, tf.ones((8, 8)))
    assert grappler_go.simulate(graph, None, _machine(2)).unknown_outputs > 0
    _make(name, graph, _machine(2)).validate(graph)


def test_what_makes_no_sense_is_refused(branches):
    with pytest.raises(ValueError, match=r"no baseline 'best'; there are tensorflow_default"):
        baselines.make_plan("best", branches, _machine(2))
    with pytest.raises(ValueError, match="no baseline 'best'"):
        baselines.run_baselines(branches, _machine(2), ["heft", "best"])
    for wrong in ({"plans": -1}, {"seconds": -0.5}, {"seconds": float("nan")}):
        with pytest.raises(ValueError, match="budget"):
            baselines.Budget(**wrong)
