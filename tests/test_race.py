"""The race that grappler_go.tune runs between plans: who is faster, who is told apart from
noise, who is given up."""

import itertools
import math
import re

import numpy as np
import pytest

from grappler_go.cli import tune as tune_command
from grappler_go.tuning import judge, race

# ---------------------------------------------------------------- the judge


def test_a_clear_gain_is_told_from_noise():
    found = judge.judge([1.2, 1.3, 1.25, 1.22, 1.28, 1.24, 1.21], [1.0] * 7)
    assert found.faster
    assert not found.slower
    assert found.low <= found.speedup <= found.high
    assert found.speedup == pytest.approx(1.24)


def test_noise_is_no_gain():
    rng = np.random.default_rng(1)
    believed = 0
    for seed in range(200):
        base, other = 1 + 0.1 * rng.normal(size=(2, 20))
        believed += judge.judge(base, other, seed=seed).faster
    assert believed < 15  # one in forty by chance on this side


def test_few_rounds_decide_nothing_however_clear():
    assert not judge.judge([2.0] * 5, [1.0] * 5).faster
    assert judge.judge([2.0] * 6, [1.0] * 6).faster


def test_a_gain_nobody_would_notice_is_none():
    assert not judge.judge([1.005] * 30, [1.0] * 30).faster


def test_slower_is_told_as_well():
    assert judge.judge([1.0] * 8, [1.1] * 8).slower


def test_one_outlier_does_not_decide():
    assert not judge.judge([1.0] * 9 + [100.0], [1.0] * 10).faster


def test_most_rounds_have_to_be_won():
    # The bootstrap's interval is above 1 here; six of seven happen to a coin, too.
    found = judge.judge([1.2] * 6 + [0.5], [1.0] * 7)
    assert found.low > 1
    assert not found.faster
    assert judge.judge([1.2] * 7 + [0.5], [1.0] * 8).faster


def test_readings_have_to_come_in_pairs():
    with pytest.raises(ValueError, match="compared"):
        judge.judge([1.0], [])


# ---------------------------------------------------------------- the race


class Track:
    """Steps that take as long as whose turn it is says; no clock runs but this one."""

    def __init__(self):
        self.now = 0.0
        self.step_s = 0.01
        self.steps = []
        self.name = ""
        self._compiled = set()

    def runner(self, name, step_s, compile_s=0.0, fails=False, expected_s=None):
        def switch():
            self.name, self.step_s, self.fails = name, step_s, fails
            if name not in self._compiled:
                self._compiled.add(name)
                self.now += compile_s

        expected = compile_s if expected_s is None else expected_s
        return race.Runner(name, switch, expected)

    def step(self):
        self.steps.append(self.name)
        self.now += self.step_s
        if self.fails:
            raise RuntimeError("broken on this track\nand more")

    def race(self, *others, budget_s=60.0, default_s=0.01, on_progress=lambda _: None):
        run = race.Race(
            self.step,
            self.runner("default", default_s),
            others,
            budget_s,
            on_progress,
            clock=lambda: self.now,
        )
        run.run()
        return run


def test_the_fastest_wins_and_was_judged_on_its_own():
    track = Track()
    speeds = [0.011, 0.009, 0.005, 0.0095, 0.012, 0.007]
    others = [track.runner(f"{s}", s) for s in speeds]
    run = track.race(*others)
    assert run.winner is others[2]
    assert run.winner.state == "best"
    assert run.verdict.speedup == pytest.approx(2.0)
    assert all(r.state == "slower" for r in others if r is not run.winner)
    # The good ones ran longer than the bad ones.
    assert len(others[2].readings) > len(others[5].readings) >= len(others[0].readings)


def test_luck_while_there_were_many_does_not_count():
    track = Track()
    lucky = track.runner("lucky", 0.005)
    others = [lucky, *(track.runner(f"{i}", 0.012 + i / 1e4) for i in range(15))]
    switch = lucky.switch

    def switch_while_lucky():
        switch()
        if len(lucky.readings) >= 3 + 6 + 12 + 24:  # rounds with 16, 8, 4 and 2 of them
            track.step_s = 0.00995

    lucky.switch = switch_while_lucky
    run = track.race(*others)
    assert run.winner is lucky
    assert run.verdict.rounds == 30
    assert not run.verdict.faster


def test_the_default_is_first_in_every_other_round():
    track = Track()
    track.race(track.runner("a", 0.009, compile_s=1.0))
    order = [name for i, name in enumerate(track.steps) if i == 0 or track.steps[i - 1] != name]
    # Two in a row of one name: the last of a round and the first of the next.
    longest = max(len(list(group)) for _, group in itertools.groupby(track.steps[20:]))
    assert longest == 2 * 3
    assert order.count("a") >= 15


def test_one_that_is_hopeless_is_not_timed_again():
    track = Track()
    run = track.race(track.runner("slow", 0.5), track.runner("good", 0.008))
    slow = run.others[0]
    assert slow.state == "slower"
    assert "times the default's step" in slow.why
    assert not slow.readings
    assert track.steps.count("slow") == 3


def test_equal_is_not_better_than_the_default():
    track = Track()
    run = track.race(track.runner("same", 0.01))
    assert run.verdict is not None
    assert not run.verdict.faster
    assert run.others[0].state == "slower"
    assert run.others[0].why == "no faster than the default by more than the noise"


def test_why_a_plan_did_not_win_is_told_as_it_is():
    track = Track()
    run = track.race(track.runner("worse", 0.011))
    assert run.verdict.slower
    assert (run.others[0].state, run.others[0].why) == ("slower", "slower than the default")
    track = Track()
    run = track.race(track.runner("worse", 0.011), track.runner("good", 0.008))
    assert (run.others[0].state, run.others[0].why) == ("slower", "slower than another plan")
    assert tune_command._outcome(run.others[0]) == "slower than another plan"
    assert tune_command._outcome(run.others[1]) == "best"


@pytest.mark.parametrize(
    ("budget_s", "why"),
    [
        (10.0, "compiling it is expected to take 100 s, and [0-9.]+ s are left of the time for"),
        (0.01, "compiling it is expected to take 100 s, and nothing is left of the time for"),
    ],
)
def test_why_a_plan_was_not_compiled_is_told(budget_s, why):
    track = Track()
    run = track.race(track.runner("long", 0.001, compile_s=100.0), budget_s=budget_s)
    assert re.match(why, run.others[0].why)
    assert tune_command._outcome(run.others[0]).startswith("skipped: compiling it")


def test_a_compilation_that_would_not_fit_in_is_not_begun():
    track = Track()
    run = track.race(
        track.runner("long", 0.001, compile_s=100.0), track.runner("short", 0.009), budget_s=10.0
    )
    assert run.others[0].state == "skipped"
    assert "100 s" in run.others[0].why
    assert "long" not in track.steps
    assert run.winner is run.others[1]


def test_a_budget_too_short_for_any_compilation_decides_nothing():
    track = Track()
    run = track.race(track.runner("a", 0.001, compile_s=5.0), budget_s=2.0)
    assert run.winner is None
    assert run.verdict is None


def test_a_compilation_longer_than_expected_ends_the_race_in_time():
    track = Track()
    others = [track.runner(name, 0.005, compile_s=30.0, expected_s=0.1) for name in ("a", "b", "c")]
    run = track.race(*others, budget_s=10.0)
    assert track.now < 10 + 30 + 1
    assert run.others[1].state == "skipped"
    assert run.verdict is None


def test_the_budget_is_kept():
    track = Track()
    track.race(*[track.runner(f"{i}", 0.1 + i / 1e4) for i in range(8)], default_s=0.1, budget_s=9)
    assert track.now < 10


def test_a_plan_that_raises_is_out_and_the_others_go_on():
    track = Track()
    run = track.race(track.runner("bad", 0.001, fails=True), track.runner("good", 0.005))
    assert run.others[0].state == "failed"
    assert run.others[0].why == "RuntimeError: broken on this track"
    assert run.winner is run.others[1]


def test_a_program_that_fails_after_some_steps_is_not_blamed_on_the_plans():
    track = Track()
    step = track.step

    def fails_later():
        step()
        if len(track.steps) > 8:
            raise ValueError("no more data")

    track.step = fails_later
    with pytest.raises(ValueError, match="no more data"):
        track.race(track.runner("a", 0.009), track.runner("b", 0.008))


def test_progress_says_what_is_best_and_how_long_it_takes():
    track = Track()
    seen = []
    track.race(
        track.runner("a", 0.009), track.runner("b", 0.005), on_progress=seen.append, budget_s=20
    )
    assert {p.phase for p in seen} == {"compiling", "racing", "judging"}
    assert seen[-1].best == "b"
    assert seen[-1].best_ratio == pytest.approx(2.0)
    assert math.isnan(seen[0].best_ratio)
    assert seen[-1].left_s == pytest.approx(20 - seen[-1].elapsed_s)
