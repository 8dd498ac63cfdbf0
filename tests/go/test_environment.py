"""Episodes: what actions become, what they are worth, and the best baselines."""

import dataclasses
import json

import go_graphs
import numpy as np
import pytest
from grappler_go_training.go import environment, imitate, machines, sampling, teacher
from grappler_go_training.go.network import Actions

import grappler_go


@pytest.fixture(scope="module")
def gpus():
    return go_graphs.case(go_graphs.two_gpus())


@pytest.fixture(scope="module")
def cpu():
    return go_graphs.case(go_graphs.one_cpu(), num_ops=150)


def actions_of(case, device=0, fusion=0, schedule=0, recompute=0):
    count = case.graph.num_ops
    return Actions(
        *(np.full(count, one, np.int32) for one in (device, fusion, schedule, recompute))
    )


def test_what_matters_on_gpus_is_where_and_when_and_what_is_compiled(gpus):
    assert gpus.tasks == ["device", "fusion", "schedule"]
    # A decision of several ops counts once.
    assert gpus.matters["device"].sum() == len(gpus.problem.movable)


def test_workers_may_have_the_ops_of_a_graph_that_was_captured_elsewhere():
    workers = machines.sample("workers", 0, np.random.default_rng(0))
    case = go_graphs.case(workers)
    home = workers.machine.devices[0]["name"]
    assert home not in case.graph.devices
    assert case.matters["device"].sum() == len(case.problem.movable) > 0
    env = environment.Environment(go_graphs.config().network, 1)
    (there,) = env.try_actions(case, [actions_of(case, device=1)], by_cut=False)
    movable = np.isin(case.problem.unit_of, case.problem.movable)
    assert (there.plan.device[movable] == 1).all()


def test_what_matters_on_one_cpu_is_what_is_compiled(cpu):
    assert "device" not in cpu.tasks
    assert "fusion" in cpu.tasks
    assert 0 < cpu.matters["fusion"].sum() < cpu.graph.num_ops


def test_recomputation_matters_where_memory_is_short():
    plenty = go_graphs.one_cpu()
    graph = go_graphs.graph(num_ops=150)
    needed = machines.needed_bytes(graph.op_graph())
    device = {**plenty.machine.devices[0], "memory_bytes": int(needed * 0.8)}
    tight = grappler_go.Machine("tight", devices=[device])
    case = go_graphs.case(dataclasses.replace(plenty, machine=tight), num_ops=150)
    assert "recompute" in case.tasks
    assert not (case.matters["recompute"] * case.problem.backward).any()


def test_a_plan_as_fast_as_the_best_baseline_is_worth_minus_one(gpus):
    best = imitate.teacher_actions(gpus, go_graphs.config().network)
    (outcome,) = environment.Environment(go_graphs.config().network, 1).try_actions(
        gpus, [best.actions], by_cut=False
    )
    if not gpus.teacher.critical_path:
        assert outcome.step_us == pytest.approx(gpus.teacher.step_us, rel=1e-6)
    assert outcome.reward == pytest.approx(-np.sqrt(outcome.step_us / gpus.teacher.step_us))


def test_the_actions_of_a_placement_make_that_placement(gpus):
    env = environment.Environment(go_graphs.config().network, 1)
    (there,) = env.try_actions(gpus, [actions_of(gpus, device=1)], by_cut=False)
    movable = np.isin(gpus.problem.unit_of, gpus.problem.movable)
    assert (there.plan.device[movable] == 1).all()


def test_devices_that_were_drawn_guide_a_cut(gpus):
    rng = np.random.default_rng(0)
    env = environment.Environment(go_graphs.config().network, 1)
    drawn = [
        actions_of(gpus)._replace(device=rng.integers(0, 2, gpus.graph.num_ops, np.int32))
        for _ in range(8)
    ]
    scattered = env.try_actions(gpus, drawn, by_cut=False)
    cut = env.try_actions(gpus, drawn)
    mean = [np.mean([one.step_us for one in outcomes]) for outcomes in (cut, scattered)]
    assert mean[0] < 0.9 * mean[1]
    assert len({tuple(one.plan.device) for one in cut}) > 1, "the draws make a difference"
    again = env.try_actions(gpus, drawn)
    assert [one.step_us for one in again] == [one.step_us for one in cut]


def test_ready_ops_are_taken_by_critical_path_where_that_is_faster():
    case = go_graphs.case(go_graphs.two_gpus(), num_ops=150)
    half = np.arange(case.graph.num_ops) % 2
    spread = actions_of(case)._replace(device=half.astype(np.int32))
    logits = sampling.actions_to_logits(spread, 3, go_graphs.config().network)
    backwards = {**logits, "schedule": -case.critical_path}
    outcome = environment.outcome_of(case, backwards, by_cut=False)
    np.testing.assert_array_equal(outcome.plan.priority, case.critical_path)
    core, machine = environment.native.core(), case.target.machine
    unordered = outcome.plan.copy()
    unordered.priority = None
    as_wanted, by_path = (
        core.simulate(case.graph, machine, [unordered], {"schedule": order}, threads=1)[0]
        for order in (-case.critical_path, case.critical_path)
    )
    assert by_path["micros"] < as_wanted["micros"]
    assert outcome.step_us == by_path["micros"]
    # Where nobody is asked for an order there is none.
    placed = environment.restricted(case, ["device", "fusion"])
    without = environment.outcome_of(placed, backwards, by_cut=False)
    assert without.plan.priority is None
    (step,) = core.simulate(case.graph, machine, [without.plan], {}, threads=1)
    assert without.step_us == step["micros"]


def test_out_of_memory_is_worth_minus_ten():
    case = go_graphs.case(go_graphs.two_gpus(memory_bytes=1000))
    assert not case.teacher.fits
    (outcome,) = environment.Environment(go_graphs.config().network, 1).try_actions(
        case, [actions_of(case)]
    )
    assert outcome.out_of_memory
    assert outcome.reward == environment.INVALID_REWARD == -10


def test_a_plan_that_cannot_be_simulated_is_worth_minus_ten(gpus, monkeypatch, caplog):
    class Core:
        build_plan = staticmethod(environment.native.core().build_plan)

        @staticmethod
        def simulate(*_args, **_kwargs):
            raise ValueError("an op would wait for itself")

    monkeypatch.setattr(environment.native, "core", Core)
    env = environment.Environment(go_graphs.config().network, 1)
    (outcome,) = env.try_actions(gpus, [actions_of(gpus)])
    assert (outcome.reward, outcome.out_of_memory) == (environment.INVALID_REWARD, True)


def test_outcomes_do_not_depend_on_threads(gpus):
    rng = np.random.default_rng(0)
    count = gpus.graph.num_ops
    drawn = [
        Actions(*(rng.integers(0, high, count, np.int32) for high in (2, 4, 4, 2)))
        for _ in range(6)
    ]
    for one in drawn:
        one.device[gpus.inputs.allowed[np.arange(count), one.device] == 0] = 2
    network = go_graphs.config().network
    one, many = (
        [o.reward for o in environment.Environment(network, n).try_actions(gpus, drawn)]
        for n in (1, 4)
    )
    assert one == many


# ---- teachers


def test_the_teacher_is_the_best_row(gpus):
    rows = gpus.teacher.rows
    asked = {"tensorflow_default", "one_device", "human_expert"}
    fused = {f"{name}+fuse_what_pays" for name in asked}
    assert asked <= set(rows) <= asked | fused
    assert gpus.teacher.step_us <= min(rows.values())
    assert gpus.teacher.default_us == rows["tensorflow_default"]


def test_fusion_baselines_are_not_asked_about_gpus_nor_placements_about_one_cpu(gpus, cpu):
    assert "priority_fusion" not in gpus.teacher.rows
    assert "human_expert" not in cpu.teacher.rows
    assert "fuse_what_pays" in cpu.teacher.rows


def test_teachers_are_kept(tmp_path, monkeypatch):
    path = tmp_path / "baselines.jsonl"
    target = go_graphs.two_gpus()
    graph = go_graphs.graph()
    names = ("one_device", "human_expert")

    def make():
        cache = teacher.TeacherCache(path, names, 5)
        return environment.make_case("a", "synthetic", graph, target, cache.get).teacher

    first = make()
    path.write_text(path.read_text() + '{"key": "half a li')
    monkeypatch.setattr(teacher, "row_of", None)
    second = make()
    assert second.plan.to_json() == first.plan.to_json()
    assert dataclasses.replace(second, plan=None) == dataclasses.replace(first, plan=None)
    # Another machine is another line.
    with pytest.raises(TypeError):
        environment.make_case(
            "a",
            "synthetic",
            graph,
            go_graphs.two_gpus(10**9),
            teacher.TeacherCache(path, names, 5).get,
        )


# ---- imitation


def test_teacher_actions_say_what_the_plan_says(gpus):
    best = imitate.teacher_actions(gpus, go_graphs.config().network)
    plan = gpus.teacher.plan
    expected = gpus.problem.stands if plan.device is None else plan.device
    decided = expected >= 0
    # The two GPUs may have changed places.
    found = set(zip(best.actions.device[decided].tolist(), expected[decided].tolist(), strict=True))
    assert len(found) == len({there for _, there in found}) == len({here for here, _ in found})
    assert (gpus.inputs.allowed[np.arange(gpus.graph.num_ops), best.actions.device] == 1).all()


def test_the_first_of_equal_devices_has_what_comes_first(gpus):
    # What comes first is on the second GPU.
    backwards = np.where(np.arange(gpus.graph.num_ops) < gpus.graph.num_ops // 3, 1, 0)
    turned = imitate.in_order(gpus, backwards)
    np.testing.assert_array_equal(turned, 1 - backwards)
    np.testing.assert_array_equal(imitate.in_order(gpus, turned), turned)


def test_devices_with_other_rates_or_links_are_not_alike(gpus):
    machine = gpus.target.machine
    assert imitate.like_devices(machine) == [[0, 1], [2]]
    slower = [dict(device) for device in machine.devices]
    slower[1]["gflops"] /= 2
    other = grappler_go.Machine("unequal", devices=slower, links=machine.links)
    assert imitate.like_devices(other) == [[0], [1], [2]]
    near = [
        {**link, "gbytes_per_s": 99.0} if link["src"] == 0 and link["dst"] == 2 else link
        for link in machine.links
    ]
    other = grappler_go.Machine("unequal", devices=machine.devices, links=near)
    assert imitate.like_devices(other) == [[0], [1], [2]]


def test_a_schedule_that_the_plan_has_is_imitated(gpus):
    plan = grappler_go.Plan.from_json(gpus.teacher.plan.to_json())
    plan.priority = -np.arange(gpus.graph.num_ops, dtype=np.float32)
    with_order = dataclasses.replace(gpus, teacher=dataclasses.replace(gpus.teacher, plan=plan))
    found = imitate.teacher_actions(with_order, go_graphs.config().network).actions.schedule
    among = found[gpus.matters["schedule"] > 0]
    assert (np.diff(among) <= 0).all()
    assert len(set(among.tolist())) == go_graphs.config().network.schedule_levels


def test_where_compiling_everything_is_no_slower_all_ops_want_it(gpus):
    levels = go_graphs.config().network.fusion_levels
    as_fast = gpus.teacher.step_us
    for name, step_us, wanted in (
        ("search", as_fast, True),
        ("search", 2 * as_fast, False),
        ("metis+fuse_what_pays+critical_path", 2 * as_fast, True),
    ):
        rows = {**gpus.teacher.rows, "fuse_what_pays": step_us}
        teacher = dataclasses.replace(gpus.teacher, name=name, rows=rows)
        one = dataclasses.replace(gpus, teacher=teacher)
        best = imitate.teacher_actions(one, go_graphs.config().network)
        assert (best.actions.fusion == levels - 1).all() == wanted
        assert not wanted or best.decides.fusion.all()


def test_levels_have_about_as_many_ops_each_and_keep_the_order():
    found = imitate.levels_of([10.0, 30.0, 20.0, 20.0, 99.0], [True] * 4 + [False], levels=2)
    np.testing.assert_array_equal(found, [0, 1, 0, 0, 1])
    assert imitate.levels_of([1.0], [False], 4).tolist() == [0]


# ---- machines


@pytest.mark.parametrize("kind", ["cpu", "workers", "gpus", "mixed"])
def test_machines_are_drawn_by_kind(kind):
    needed = 1 << 30
    drawn = [machines.sample(kind, needed, np.random.default_rng(seed)) for seed in range(20)]
    again = machines.sample(kind, needed, np.random.default_rng(3))
    assert again.machine.to_json() == drawn[3].machine.to_json()
    for target in drawn:
        types = [device["type"] for device in target.machine.devices]
        assert target.free_state == (kind in ("gpus", "mixed"))
        assert ("GPU" in types) == target.free_state
        # Enough together, or no limit.
        limits = [d["memory_bytes"] for d in target.machine.devices if d["type"] == types[0]]
        assert len(limits) == 1 or 0 in limits or sum(limits) >= needed
    assert len({json.dumps(t.machine.devices, default=str) for t in drawn}) > 10


def test_mixed_machines_have_unequal_gpus():
    target = machines.sample("mixed", 0, np.random.default_rng(1))
    rates = {d["gflops"] for d in target.machine.devices if d["type"] == "GPU"}
    assert len(rates) > 1


def test_machines_that_ship_are_taken_as_they_are():
    target = machines.sample("p100x4", 1, np.random.default_rng(0))
    assert target.machine.to_json() == grappler_go.load_machine("p100x4").to_json()
    assert target.free_state
    assert not machines.sample("cpu-server", 1, np.random.default_rng(0)).free_state
