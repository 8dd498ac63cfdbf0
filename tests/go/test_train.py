"""Training runs on tiny graphs: they learn, stop, go on, and say what is wrong."""

import dataclasses
import itertools
import json
import pathlib
import shutil

import go_graphs
import numpy as np
import pytest
from grappler_go_training import policy_results, workloads
from grappler_go_training.go import (
    checkpoint,
    environment,
    evaluate,
    export,
    finetune,
    judged,
    ppo,
    run_folder,
    sources,
    teacher,
    train,
    train_config,
)


@pytest.fixture(autouse=True, scope="module")
def _untraced():
    with go_graphs.traced_nothing():
        yield


@pytest.fixture(scope="module")
def cases():
    return [
        go_graphs.case(go_graphs.two_gpus(), seed=1, name="a"),
        go_graphs.case(go_graphs.one_cpu(), seed=2, name="b"),
        go_graphs.case(go_graphs.two_gpus(), seed=3, name="c"),
    ]


def arrays_of(folder: pathlib.Path):
    path = checkpoint.latest(folder / "checkpoints")
    return checkpoint.load(path)


def after(count: int):
    """Asks to stop when it is asked for the count-th time."""
    asked = itertools.count(1)
    return lambda: next(asked) == count


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(cases, tmp_path):
    config = go_graphs.config(imitation_steps=1, steps=3, best_coef=0.1)
    whole = train.train(config, tmp_path / "whole", cases=cases)
    for stop_at in (1, 2):
        stopped = train.train(
            config,
            tmp_path / "parts",
            cases=cases,
            should_stop=after(stop_at),
        )
        assert not stopped.finished
    ended = train.train(config, tmp_path / "parts", cases=cases)
    assert whole.finished
    assert ended.finished
    assert whole.steps == ended.steps == 4
    mine, my_meta = arrays_of(tmp_path / "whole")
    theirs, their_meta = arrays_of(tmp_path / "parts")
    assert my_meta == their_meta
    assert set(mine) == set(theirs)
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert whole.ratios == ended.ratios
    # Every step is told once, with the same figures but for speed.
    rows, parts = (
        [
            {k: v for k, v in row.items() if not k.startswith("speed/")}
            for row in run_folder.RunFolder(tmp_path / name).steps()
        ]
        for name in ("whole", "parts")
    )
    assert rows == parts
    assert [row["step"] for row in rows] == [1, 2, 3, 4]


def test_figures_of_a_step(cases, tmp_path):
    train.train(go_graphs.config(imitation_steps=1, steps=1), tmp_path, cases=cases)
    imitation, row = run_folder.RunFolder(tmp_path).steps()
    assert {"imitation/cross_entropy", "speed/steps_per_second"} < set(imitation)
    wanted = ("approx_kl", "clipfrac", "entropy", "value_loss", "policy_loss", "grad_norm")
    assert {f"losses/{name}" for name in wanted} < set(row)
    assert sum(name.startswith("reward/") for name in row) == 2
    assert list((tmp_path / "curves").iterdir())


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_last_checkpoint(
    cases, tmp_path, monkeypatch
):
    config = go_graphs.config(imitation_steps=0, steps=3)
    train.train(dataclasses.replace(config, steps=1), tmp_path, cases=cases)
    good, _ = arrays_of(tmp_path)
    monkeypatch.setattr(ppo, "advantages_of", lambda rewards, *_: rewards * np.float32("nan"))
    with pytest.raises(ppo.Diverged, match=r"step 2: a loss .* last good .*step-00000001\.npz"):
        train.train(config, tmp_path, cases=cases)
    monkeypatch.undo()
    left, _ = arrays_of(tmp_path)
    for name, array in good.items():
        np.testing.assert_array_equal(array, left[name])


def test_another_config_is_not_mixed_into_a_run(cases, tmp_path):
    config = go_graphs.config(imitation_steps=1, steps=0)
    train.train(config, tmp_path, cases=cases)
    with pytest.raises(ValueError, match="another clip_coef"):
        train.train(dataclasses.replace(config, clip_coef=0.3), tmp_path, cases=cases)
    longer = train.train(dataclasses.replace(config, steps=1), tmp_path, cases=cases)
    assert longer.steps == 2


def test_families_with_one_graph_and_machines_with_one_device_train(tmp_path):
    config = go_graphs.config(
        synthetic=1, min_ops=20, max_ops=200, machines=["p100x1"], machines_per_graph=1, steps=1
    )
    result = train.train(config, tmp_path)
    assert result.finished
    assert len(result.ratios) == 1
    assert np.isfinite(result.mean_ratio)


# ---- which graphs


def test_recorded_graphs_that_cannot_be_parsed_are_skipped_and_named(tmp_path):
    go_graphs.graph().save(tmp_path / "good.pb")
    go_graphs.graph().save(tmp_path / "names.pb")
    (tmp_path / "names.json").write_text("[1")
    (tmp_path / "noise.pb").write_bytes(b"\xff" * 50)
    small = workloads.synthetic(1, 10, kind="layered", training=False, width=64, batch=16)
    small.save(tmp_path / "small.pb")
    least = small.op_graph().num_ops + 1
    config = go_graphs.config(recorded=[str(tmp_path)], min_ops=least, machines=["p100x2"])
    skipped = {}
    cases = train.make_cases(config, tmp_path / "run", lambda *_: None, skipped.__setitem__)
    assert {case.family for case in cases} == {tmp_path.name}
    assert len(cases) == config.machines_per_graph
    assert {pathlib.Path(name).name for name in skipped} == {"names.pb", "noise.pb", "small.pb"}
    assert f"ops, not {least} to" in skipped[str(tmp_path / "small.pb")]


def test_a_machine_that_no_baseline_fits_is_drawn_again_with_memory(tmp_path, monkeypatch):
    asked = []

    def sample(kind, needed_bytes, _rng):
        asked.append(needed_bytes)
        # No limit where nothing is needed.
        return go_graphs.two_gpus(memory_bytes=1000 if needed_bytes else 0)

    monkeypatch.setattr(train.machines, "sample", sample)
    config = go_graphs.config(synthetic=1, min_ops=20, max_ops=400, machines=["gpus"])
    cases = train.make_cases(config, tmp_path, lambda *_: None, lambda *_: None)
    assert [needed > 0 for needed in asked] == [True, False] * config.machines_per_graph
    assert len(cases) == config.machines_per_graph
    assert all(case.teacher.fits for case in cases)


def test_evaluation_families_are_refused():
    for name in ("rnnlm", "rnnlm-2", "t5-tiny-train"):
        with pytest.raises(ValueError, match="never trained on"):
            sources.sources(go_graphs.config(workloads=[name]))


def test_train_means_that_side_of_the_split():
    found = sources.sources(go_graphs.config(workloads=["train"]))
    assert [source.name for source in found] == workloads.names(split="train")


@pytest.mark.parametrize(
    ("changed", "message"),
    [({}, "nothing to train on"), ({"workloads": ["gcn-trian"]}, "the nearest is 'gcn-train'")],
)
def test_no_graph_to_train_on(changed, message):
    with pytest.raises(ValueError, match=message):
        sources.sources(go_graphs.config(**changed))


def test_a_folder_without_graphs(tmp_path):
    with pytest.raises(ValueError, match="grappler-go record"):
        sources.sources(go_graphs.config(recorded=[str(tmp_path)]))
    with pytest.raises(FileNotFoundError, match="no folder"):
        sources.sources(go_graphs.config(recorded=[str(tmp_path / "no")]))


# ---- after training


@pytest.fixture(scope="module")
def trained(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train.train(go_graphs.config(), folder, cases=cases)
    return folder


def test_a_network_comes_back_from_its_run(trained):
    network, config, path = run_folder.load_network(trained)
    assert config == go_graphs.config()
    arrays, _ = checkpoint.load(path)
    for name, array in run_folder.network_arrays(network).items():
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        run_folder.load_network(trained / "curves")


def test_fine_tuning_goes_on_from_the_policy(trained, cases, tmp_path):
    network, config, _ = run_folder.load_network(trained)
    config = dataclasses.replace(finetune.finetune_config(config), steps=1)
    assert config.imitation_steps == 0
    before = run_folder.network_arrays(network)
    result = finetune.finetune(cases[0], config, tmp_path, network)
    assert result.steps == 1
    best = result.best["a"]
    best.plan.validate(cases[0].graph)
    assert best.reward >= -(result.ratios["a"] ** 0.5) - 1e-6
    # The best plan that was seen is there as it was, whatever a cut made of what was drawn.
    steps = (tmp_path / run_folder.STEPS).read_text().splitlines()
    assert best.reward >= json.loads(steps[-1])["best/a"] - 1e-6
    after, _ = arrays_of(tmp_path)
    assert any((after[name] != array).any() for name, array in before.items())


def test_a_folder_is_of_one_run_at_a_time(cases, tmp_path):
    taken = run_folder.RunFolder(tmp_path)
    taken.start(go_graphs.config())
    with pytest.raises(ValueError, match="another process trains"):
        train.train(go_graphs.config(), tmp_path, cases=cases[:1])
    taken.close()
    assert train.train(go_graphs.config(), tmp_path, cases=cases[:1]).finished


def test_fifty_steps_unless_told_otherwise():
    assert finetune.finetune_config(train_config.TrainConfig()).steps == 50


def test_evaluation_at_equal_budget(trained, cases):
    policy = judged.load(trained)
    budget = evaluate.baselines.Budget(plans=6)
    methods = ["policy", "policy_best", "policy_search", "zero_shot"]
    methods += ["human_expert", "joint_search"]
    rows = list(evaluate.evaluate(policy, cases[:1], methods, (0, 1), budget))
    assert [(row.method, row.seed) for row in rows] == [(m, s) for m in methods for s in (0, 1)]
    steps = policy_results.mean_steps(rows)
    assert steps["a", "policy_best"] <= steps["a", "policy"]
    # Doing nothing is among its plans.
    assert steps["a", "policy_search"] <= rows[0].default_us
    assert steps["a", "zero_shot"] == steps["a", "policy_search"], "so few plans are as many"
    assert not list(
        evaluate.evaluate(
            policy, cases[:1], methods, (0, 1), budget, done=[row.key for row in rows]
        )
    )


def test_tensorflows_own_judge_is_asked_of_placements():
    # Steps of less than a microsecond it calls 0.
    large = workloads.synthetic(1, 60, kind="layered", training=True, width=1024, batch=256)
    nobody = teacher.TeacherCache(None, (), 0)
    case = environment.make_case("a", "synthetic", large, go_graphs.two_gpus(), nobody.get)
    budget = evaluate.baselines.Budget(plans=30)
    asked = ["heft", "one_device"]
    rows = evaluate.evaluate(None, [case], asked, (0,), budget, ["device"], judge=True)
    spread, alone = rows
    assert alone.judge_us == alone.judge_default_us == spread.judge_default_us > 0
    assert spread.judge_us != spread.judge_default_us
    (unasked,) = evaluate.evaluate(None, [case], asked[:1], (0,), budget, ["device"])
    assert unasked.judge_us is None
    with pytest.raises(ValueError, match="judges placements"):
        evaluate.check(None, asked, ["device", "fusion"], budget, judge=True)


def test_what_is_not_to_be_decided_is_not(trained, cases):
    policy = judged.load(trained)
    budget = evaluate.baselines.Budget(plans=6)
    asked = ["policy", "joint_search"]
    for tasks in (["device"], ["fusion", "schedule"]):
        for row in evaluate.evaluate(policy, cases[:1], asked, (0,), budget, tasks):
            assert row.decides == ",".join(tasks)
    case = environment.restricted(cases[0], ["schedule"])
    assert case.tasks == ["schedule"]
    ones = np.ones(case.graph.num_ops, np.float32)
    devices = np.zeros((case.graph.num_ops, case.problem.num_devices), np.float32)
    devices[:, 1] = 1
    logits = {"device": devices, "fusion": ones, "schedule": ones, "recompute": ones}
    outcome = environment.outcome_of(case, logits)
    default = case.problem.plan("tensorflow_default")
    np.testing.assert_array_equal(outcome.plan.device, default.device)
    assert outcome.plan.num_groups == 0
    assert outcome.step_us == pytest.approx(case.teacher.default_us)
    assert not environment.outcome_of(cases[0], logits).plan.empty


def test_learning_on_a_case_spends_the_budget_and_leaves_the_policy_alone(
    trained, exported, cases, monkeypatch
):
    started = []
    run = finetune.train

    def seen(config, *args, **kwargs):
        started.append((config.steps, config.imitation_steps, kwargs["start_from"] is None))
        return run(config, *args, **kwargs)

    monkeypatch.setattr(finetune, "train", seen)
    asked = ["fine_tuned", "go_one", "policy"]
    # A fourth of the plans is for the search that comes after two steps.
    budget = evaluate.baselines.Budget(plans=2 * go_graphs.config().samples + 3)
    for folder in (trained, exported):
        policy = judged.load(folder)
        before = policy.scores(cases[0])
        rows = list(evaluate.evaluate(policy, cases[:1], asked, (0,), budget))
        assert {row.method: row.policy for row in rows} == dict.fromkeys(asked, policy.name)
        # No worse than doing nothing, which is where their search for the best begins.
        assert all(row.step_us <= rows[0].default_us for row in rows[:2])
        for task, scores in policy.scores(cases[0]).items():
            np.testing.assert_array_equal(scores, before[task])
    assert started == [(2, 0, False), (2, 0, True)] * 2
    seconds = evaluate.baselines.Budget(plans=9, seconds=1.0)
    with pytest.raises(ValueError, match="of seconds"):
        list(evaluate.evaluate(policy, cases[:1], asked, (0,), seconds))


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The folder of its policy."""
    network, config, file = run_folder.load_network(trained)
    folder = tmp_path_factory.mktemp("exported") / "policy"
    export.export_policy(network, run_folder.card(config, file), str(folder))
    return folder


def test_an_exported_policy_is_judged_as_its_run_is(trained, exported, cases):
    budget = evaluate.baselines.Budget(plans=6)
    asked = ["policy", "policy_search"]
    of_run, of_folder = (
        policy_results.mean_steps(
            list(evaluate.evaluate(judged.load(folder), cases[:1], asked, (0,), budget))
        )
        for folder in (trained, exported)
    )
    assert of_folder["a", "policy"] == pytest.approx(of_run["a", "policy"], rel=0.02)
    with pytest.raises(ValueError, match="policy_best"):
        list(evaluate.evaluate(judged.load(exported), cases[:1], ["policy_best"]))


def test_an_exported_policy_is_trained_further(trained, exported, cases, tmp_path):
    network, config, _ = run_folder.load_network(trained)
    again, its_config, _ = run_folder.load_network(exported)
    assert its_config == config
    before, restored = map(run_folder.network_arrays, (network, again))
    assert all((restored[name] == array).all() for name, array in before.items())
    config = dataclasses.replace(config, imitation_steps=0, steps=1)
    result = train.train(config, tmp_path / "run", cases=cases[:1], start_from=again)
    assert result.steps == 1
    after, _ = arrays_of(tmp_path / "run")
    assert any((after[name] != array).any() for name, array in before.items())


@pytest.mark.parametrize(
    ("file", "change", "why"),
    [
        (
            "schema.json",
            lambda schema: schema["device_features"].reverse(),
            "device_features of another schema",
        ),
        ("card.json", lambda card: card.pop("config"), "no policy of the GO network"),
        (
            "card.json",
            lambda card: card["config"]["network"].update(width=32),
            "another network",
        ),
    ],
)
def test_a_policy_of_another_kind_is_not_trained_further(exported, tmp_path, file, change, why):
    folder = tmp_path / "policy"
    shutil.copytree(exported, folder)
    values = json.loads((folder / file).read_text())
    change(values)
    (folder / file).write_text(json.dumps(values))
    with pytest.raises(ValueError, match=why):
        run_folder.load_network(folder)


def row(case, method, step_us, out_of_memory=False, seed=0):
    found = (step_us, out_of_memory, 9.0, 1.0, "", "", "here")
    return policy_results.Row(case, "f", 1, "device", method, seed, 1, None, *found)


def test_a_summary_by_hand():
    rows = [
        row("x", "policy", 50.0, seed=0),
        row("x", "policy", 150.0, seed=1),
        row("x", "metis", 200.0),
        row("x", "heft", 400.0),
        row("y", "policy", 400.0),
        row("y", "metis", 100.0),
        row("z", "policy", 400.0, out_of_memory=True),
        row("z", "metis", 100.0),
    ]
    policy, metis, heft = policy_results.summarize(rows)
    # 100 / 200 and 400 / 100; z does not fit.
    assert policy.ratio == pytest.approx((0.5 * 4) ** 0.5)
    assert (policy.cases, policy.misses) == (2, 1)
    assert metis.ratio == pytest.approx(1.0)
    assert heft.ratio == pytest.approx(2.0)
