"""The frontier and the recommendation, on cases computed by hand and on all that hypothesis finds."""

from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.common.tables import GENERATIONS, SAMPLES, SCORES
from holdfast.steps.report.comparison import change_bounds, change_ranges, confidence_above, parts
from holdfast.steps.report.cost import Calls, Cost, calls_of, cost_of
from holdfast.steps.report.frontier import Difference, frontier
from holdfast.steps.report.params import Limits, Report
from holdfast.steps.report.plots import staircase
from holdfast.steps.report.recommendation import Candidate, Outcome, outcome, recommend
from holdfast.steps.report.summary import advice, side_by_side, summarise
from holdfast.steps.report.verdict import Limit, frontier_in_words
from report_data import evaluation

MEASURES = {"general": "general", "domain": "domain"}
GENERAL = Limit("general_loss", "base", "general", -0.05, "at most 5 points")
DOMAIN = Limit("domain_gain", "base", "domain", 0.5, "at least 50 points")
REPORT = Report(limits=Limits(general_loss=5.0, domain_gain=50.0))
FREE = Cost(0.0, Calls(0, 0, 0, 0), 0.0)


def pairs_of(accuracies: dict[str, dict[str, float]], p: float) -> dict[tuple[str, str], dict[str, Difference]]:
    """Every difference of the estimates, each with the same p."""
    return {
        (one, other): {a: Difference(accuracies[other][a] - accuracies[one][a], -1.0, 1.0, p) for a in accuracies[one]}
        for one in accuracies
        for other in accuracies
        if one < other
    }


def test_an_arm_is_off_the_frontier_only_for_a_significant_difference() -> None:
    accuracies = {
        "best": {"general": 0.9, "domain": 0.8},
        "tied": {"general": 0.9, "domain": 0.8},
        "learns": {"general": 0.5, "domain": 0.95},
        "worse": {"general": 0.8, "domain": 0.8},
    }
    sure = frontier(accuracies, pairs_of(accuracies, 0.01), 0.95)
    assert sure["arms"] == ["best", "tied", "learns"]
    assert sure["dominated"]["worse"]["by"] == "best"
    assert sure["dominated"]["worse"]["better_in"]["general"]["difference"] == pytest.approx(0.1)
    assert sure["not_significant"] == {}
    unsure = frontier(accuracies, pairs_of(accuracies, 0.2), 0.95)
    assert unsure["arms"] == ["best", "tied", "worse", "learns"]
    assert unsure["not_significant"] == {"worse": ["best", "tied"]}
    assert (
        "worse stays on it although best and tied are better"
        in frontier_in_words(unsure | {"abilities": ["general", "domain"]}, 0.95)[1]
    )
    [said] = frontier_in_words(unsure | {"abilities": ["domain"]}, 0.95)
    assert said == "There is no frontier: general accuracy is not measured for every arm"


shares = st.integers(0, 10).map(lambda n: n / 10)
arms = st.dictionaries(
    st.sampled_from("abcdef"), st.fixed_dictionaries({"general": shares, "domain": shares}), min_size=1
)


@given(arms, st.data())
def test_what_dominates_an_arm_is_never_off_the_frontier_while_that_arm_is_on_it(
    accuracies: dict[str, dict[str, float]], data: st.DataObject
) -> None:
    tested = {
        pair: {a: d._replace(p=data.draw(st.sampled_from([0.001, 0.5]))) for a, d in by_ability.items()}
        for pair, by_ability in pairs_of(accuracies, 0).items()
    }
    found = frontier(accuracies, tested, 0.95)
    on, off = set(found["arms"]), found["dominated"]
    assert on | off.keys() == accuracies.keys()
    assert on
    assert not on & off.keys()
    for (one, other), by_ability in tested.items():
        for worse, better, sign in ((one, other, 1), (other, one, -1)):
            changes = {a: sign * d.difference for a, d in by_ability.items()}
            if min(changes.values()) >= 0 and any(c > 0 and by_ability[a].p < 0.05 for a, c in changes.items()):
                assert worse in off or better in on
                assert worse in off


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_line_of_the_plot_has_every_point_below_or_on_it(points: list[tuple[int, int]]) -> None:
    line = staircase(points, -1.0, -1.0)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(line))
    for x, y in points:
        assert any(corner[0] >= x and corner[1] >= y for corner in line)


def measured(difference: float, low: float, n: int = 400, **more: Any) -> dict[str, Any]:
    return {"difference": difference, "bound_low": low, "n": n, "ungraded": 0, "seeds": 1, "seed_sd": None} | more


def test_a_limit_is_met_by_the_interval_and_else_the_reason_is_found() -> None:
    assert outcome(GENERAL, measured(-0.01, -0.04), 0.95).state == "met"
    # the interval reaches 6 points down, 4 are allowed for: (0.06 / 0.04)² = 2.25 times the items
    near = outcome(GENERAL, measured(-0.01, -0.07), 0.95)
    assert (near.state, near.items, near.items_needed) == ("items", 400, 900)
    assert outcome(GENERAL, measured(-0.06, -0.09), 0.95).state == "missed"
    assert outcome(GENERAL, measured(-0.049, -0.09), 0.95).state == "missed"  # 1,681 times the items
    assert outcome(GENERAL, measured(-0.01, -0.07, ungraded=20), 0.95).state == "ungraded"
    # Student's t of 2 degrees is 4.3: the seeds alone give 4.3 * 0.024 / √3 = 6 points
    assert outcome(GENERAL, measured(-0.01, -0.07, seeds=3, seed_sd=0.024), 0.95).state == "seeds"
    assert outcome(GENERAL, None, 0.95).state == "not measured"


def arm(
    name: str,
    general: float,
    domain: float,
    passes: float = 1.0,
    states: tuple[str, str] = ("", ""),
    share: float = 0.0,
) -> Candidate:
    """An arm whose limits have these states, by default those of its estimates."""
    found = [
        Outcome(limit, state or ("met" if change >= limit.least else "missed"), change, 400, 900)
        for limit, state, change in zip((GENERAL, DOMAIN), states, (general, domain), strict=True)
    ]
    return Candidate(name, found, passes, share, general, domain, 1)


def test_the_cheapest_arm_that_keeps_every_limit_is_recommended() -> None:
    tried = [arm("dear", 0.0, 0.9, 9), arm("cheap", -0.04, 0.6, 5), arm("cheapest", -0.2, 0.9, 1)]
    found = recommend(tried, {"dear": 0.999, "cheap": 0.98}, REPORT)
    assert (found["arm"], found["confidence"]) == ("cheap", 0.98)
    assert found["confidence_of_choice"] == pytest.approx(0.94)
    assert found["text"][0].startswith("cheap: the cheapest of 2 arms that keep every limit (general_loss at most 5")
    assert "is 98.0 % by itself, and 94.0 % if" in found["text"][1]
    assert found["text"][-1] == "cheapest is cheaper, but general_loss is missed (\N{MINUS SIGN}20.0 points)"
    again = recommend([*tried, arm("even", 0.0, 0.1, 5)], {"dear": 0.999, "cheap": 0.98}, REPORT)
    assert again["text"][-1] == "even is as cheap, but domain_gain is missed (+10.0 points)"


def test_a_smaller_share_is_suggested_until_there_are_several() -> None:
    forgets, keeps = arm("x", -0.2, 0.9), arm("y", 0.0, 0.9, 2, share=0.83)
    found = recommend([forgets, keeps], {"y": 0.98}, REPORT)
    assert found["next"] == found["text"][-1:]
    assert "`holdfast tune y` finds the least" in found["next"][0]
    found = recommend([forgets, keeps, arm("z", -0.2, 0.9, share=0.4)], {"y": 0.98}, REPORT)
    assert found["next"] == []
    assert "tune" not in " ".join(found["text"])


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        ([arm("x", -0.2, 0.9)], ["Every arm forgets", "rehearsal: 0.83", "lower learning rate", "average"]),
        ([arm("x", -0.2, 0.9, share=0.5)], ["more rehearsal than the 50 % of x"]),
        ([arm("x", -0.2, 0.9, share=0.95)], ["limit: a lower learning rate"]),
        ([arm("x", 0.0, 0.3)], ["Every arm learns too little", "+30.0 points (x)", "domain_epochs"]),
        ([arm("x", -0.2, 0.3)], ["forgets too much", "learns too little"]),
        ([arm("x", -0.2, 0.9), arm("y", 0.0, 0.1)], ["y keeps general accuracy", "x learns", "holdfast tune"]),
        (
            [arm("x", 0.0, 0.9, states=("items", ""))],
            ["x keeps general_loss by its estimate", "about 900 rather than 400"],
        ),
        ([arm("x", 0.0, 0.9, states=("seeds", ""))], ["raise training_seeds above 1"]),
        ([arm("x", 0.0, 0.9, states=("ungraded", ""))], ["items are not graded"]),
        ([arm("x", 0.0, 0.9, states=("", "not measured"))], ["domain accuracy is not measured: add a suite"]),
    ],
)
def test_where_no_arm_keeps_them_the_next_step_follows_from_what_failed(
    tried: list[Candidate], said: list[str]
) -> None:
    found = recommend(tried, {}, REPORT)
    assert found["arm"] is None
    text = ". ".join(found["text"])
    assert text.startswith("No arm keeps every limit")
    assert all(words in text for words in said), text


def test_without_limits_nothing_is_recommended() -> None:
    bare = Candidate("x", [], 0, 0, 0.0, 0.0, 1)
    assert recommend([bare], {}, REPORT)["text"] == ["Nothing is recommended, because report.limits sets no limit"]


candidates = st.builds(arm, st.sampled_from("abcdefgh"), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 10))


@given(st.lists(candidates, unique_by=lambda one: one.name, min_size=1), st.floats(0, 1), st.floats(0, 5))
def test_a_recommended_arm_meets_every_limit_and_a_worse_and_dearer_arm_changes_nothing(
    tried: list[Candidate], worse: float, dearer: float
) -> None:
    sure = {one.name: 0.99 for one in [*tried, arm("z", 0, 0)]}
    found = recommend(tried, sure, REPORT)
    assert (found["arm"] is not None) == any(one.met for one in tried)
    for one in tried:
        if one.name == found["arm"]:
            assert one.met
        assert one.general is not None
        assert one.domain is not None
        added = arm("z", one.general - worse, one.domain - worse, one.token_passes + dearer)
        assert recommend([*tried, added], sure, REPORT)["arm"] == found["arm"]


@given(st.integers(0, 60), st.integers(0, 60), st.floats(-0.3, 0.1))
def test_the_confidence_of_a_limit_is_that_of_the_interval_which_just_keeps_it(
    forgotten: int, learned: int, least: float
) -> None:
    marks = {"base": {"general": [i < 100 for i in range(200)]}}
    marks["arm"] = {"general": [forgotten <= i < 100 + learned for i in range(200)]}
    table = side_by_side({name: evaluation(own) for name, own in marks.items()}, MEASURES)
    strata = [change_ranges(part, [("base", "arm")]) for part in parts(table, "suites")]
    sure = confidence_above(strata, least)
    if sure == 0:
        assert change_bounds(strata, 0.02).low < least
        return
    assert 0.51 <= sure < 1
    assert change_bounds(strata, 2 * sure - 1).low >= least
    if sure < 0.999:
        assert change_bounds(strata, 2 * sure - 1 + 1e-4).low < least


def test_the_calls_of_a_selection_are_those_of_its_models_samples_and_judges() -> None:
    """3 samples, one of them the second turn of a conversation (with the answer before it: 4 calls); 2 answers of each
    of 2 models; each judged by 2 judges, two of them with one request, one after 2 attempts."""
    tokens = {"prompt_tokens": 6, "output_tokens": 4}
    samples = table(SAMPLES, [{"turn": turn, "request_key": f"{turn}{i}"} | tokens for i, turn in enumerate((1, 1, 2))])
    answers = [(model, i) for model in ("x", "y") for i in (0, 1)]
    generations = table(
        GENERATIONS,
        [{"candidate_id": f"{m}{i}", "model": m, "sample": i, "request_key": f"g{m}{i}"} | tokens for m, i in answers],
    )
    scores = table(
        SCORES,
        [
            {
                "candidate_id": f"{model}{i}",
                "judge": judge,
                "request_key": f"{judge}{'xy'[0] if i == 0 else model + str(i)}",  # x0 and y0 are equal answers
                "attempts": 2 if (model, i, judge) == ("x", 1, "j") else 1,
            }
            | tokens
            for model, i in answers
            for judge in ("j", "k")
        ],
    )
    assert calls_of(samples, generations, scores, {}) == Calls(4, 4, 7, 150)
    assert calls_of(samples, generations, scores, {"samples": 1, "judges": ["j"]}) == Calls(4, 2, 1, 70)
    assert calls_of(samples, generations, scores, {"models": ["x"], "judges": []}) == Calls(4, 2, 0, 60)
    nameless = generations.with_columns(request_key=pl.lit(None, pl.String), prompt_tokens=pl.lit(None, pl.Int64))
    assert calls_of(samples, nameless, scores, {"judges": []}) == Calls(4, 4, 0, 40)


def table(schema: dict[str, Any], rows: list[dict[str, Any]]) -> pl.LazyFrame:
    return pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema).lazy()


def test_an_arm_costs_its_part_of_a_selection_and_its_training() -> None:
    calls = {"selected": Calls(100, 200, 400, 7000)}
    sources = [
        {"source": "rehearsal", "asked": 50, "available": 200, "train_rows": 48},
        {"source": "domain", "asked": 16, "available": 16, "train_rows": 16},
    ]
    mixture = {"train_rows": 64, "sources": sources}
    cost = cost_of(mixture, 1000.0, {"rehearsal": "selected"}, calls)
    assert cost == Cost(1000.0, Calls(25, 50, 100, 1750), 0.75)
    assert cost.token_passes == 3 * 1000 + 1750
    assert cost.figures()["model_calls"] == 175
    sources[0] |= {"asked": 500}  # its rows are repeated: no more calls than there are
    assert cost_of(mixture, 1000.0, {"rehearsal": "selected"}, calls).calls == calls["selected"]
    assert cost_of(None, None, {}, {}) == FREE  # an arm without a mixture and a training of its own


def test_the_whole_advice_from_evaluations() -> None:
    """rehearsed beats domain_only in general accuracy by far and is as good in the domain; `near` is like rehearsed but
    for 2 items, which is no significant difference."""
    general = {"base": 0, "domain_only": 100, "rehearsed": 4, "near": 6}
    runs = {
        name: evaluation({"general": [i >= wrong for i in range(400)], "domain": [name != "base" for _ in range(100)]})
        for name, wrong in general.items()
    }
    costs = {name: FREE._replace(training_tokens=tokens) for name, tokens in (("near", 9), ("rehearsed", 5))}
    costs["domain_only"] = FREE
    found = advice(summarise(runs, MEASURES, REPORT), runs, MEASURES, costs, REPORT)
    assert found["frontier"]["arms"] == ["rehearsed", "near"]
    assert found["frontier"]["dominated"].keys() == {"domain_only"}
    assert found["frontier"]["not_significant"] == {"near": ["rehearsed"]}
    assert found["recommendation"]["arm"] == "rehearsed"
    assert found["recommendation"]["confidence"] > 0.975
    assert found["arms"]["near"]["cost"]["token_passes"] == 27
