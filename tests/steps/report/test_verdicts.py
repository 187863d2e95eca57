"""Verdicts, limits and averages: what an arm kept and learned, and when that stays undecided."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.cli.summary import table
from holdfast.steps.report.page import render
from holdfast.steps.report.params import Limits, Report
from holdfast.steps.report.plots import ticks
from holdfast.steps.report.row_counts import TableCount
from holdfast.steps.report.sections import Page
from holdfast.steps.report.statistics import paired_score, wilson
from holdfast.steps.report.summary import summarise
from holdfast.steps.report.verdict import points
from report_data import evaluation

MEASURES = {"general": "general", "domain": "domain"}
Marks = dict[str, list[bool | None]]


def marked(n: int, wrong: int, ungraded: int = 0) -> list[bool | None]:
    """Marks of `n` items: the first `wrong` are wrong, the last `ungraded` have none."""
    return [None if i >= n - ungraded else i >= wrong for i in range(n)]


def arm_of(before: Marks, after: Marks, report: Report, cluster_size: int | None = None) -> dict[str, Any]:
    """The summary's entry of an arm with the marks `after`, the base having `before`, of general suites."""
    runs = {"base": evaluation(before, cluster_size), "arm": evaluation(after, cluster_size)}
    return summarise(runs, dict.fromkeys(before, "general"), report)["arms"]["arm"]  # type: ignore[no-any-return]


def test_ungraded_items_are_counted_and_bound_every_figure() -> None:
    before = {"general": [True, True, None, False]}
    arm = arm_of(before, {"general": [True, None, False, True]}, Report())
    assert (arm["general"]["n"], arm["general"]["ungraded"]) == (3, 1)
    assert arm["general"]["low"] <= wilson(2, 4, 0.95).low
    assert arm["general"]["high"] >= wilson(3, 4, 0.95).high
    compared = arm["against"]["base"]["general"]
    assert (compared["n"], compared["learned"], compared["forgotten"]) == (2, 1, 0)
    assert (compared["ungraded"], compared["ungraded_before"], compared["ungraded_after"]) == (2, 1, 1)
    assert compared["bound_low"] == paired_score(2, 1, 4, 0.95).low
    assert compared["bound_high"] == paired_score(0, 1, 4, 0.95).high
    assert compared["p"] == 1
    nothing = arm_of(before, {"general": [None] * 4}, Report())
    assert nothing["verdict"]["general"] == "not measured"
    assert not all(one["met"] for one in nothing["checks"])


@pytest.mark.parametrize(("ungraded", "found"), [(0, "kept"), (600, "undecided")])
def test_an_arm_that_is_mostly_ungraded_is_not_kept(ungraded: int, found: str) -> None:
    """1,000 items, one arm like the base but for 60 % that have no grade."""
    report = Report(limits=Limits(general_loss=2.0, domain_gain=None))
    arm = arm_of({"general": marked(1000, 100)}, {"general": marked(1000, 100, ungraded)}, report)
    (limit,) = arm["checks"]
    assert (arm["verdict"]["general"], limit["met"]) == (found, found == "kept")
    for text in (arm["verdict"]["text"][0], limit["text"]):
        assert ("600 of 1,000 items not graded" in text) == bool(ungraded)


def test_a_gain_over_items_that_the_base_has_no_grade_for_is_not_counted() -> None:
    """The base has 40 % wrong and no grade for the rest, the arm everything right: at least 40 points are gained."""
    runs = {
        "base": evaluation({"domain": marked(1000, 400, 600)}),
        "arm": evaluation({"domain": marked(1000, 0)}),
    }
    for gain, met in ((35.0, True), (50.0, False)):
        report = Report(limits=Limits(general_loss=None, domain_gain=gain))
        (limit,) = summarise(runs, MEASURES, report)["arms"]["arm"]["checks"]
        assert limit["met"] is met


MARK = st.sampled_from([True, True, True, False, None])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), MARK, MARK), min_size=1, max_size=60),
    st.sampled_from([0.0, 5.0, 20.0]),
    st.sampled_from(["suites", "items"]),
    st.sampled_from([None, 3]),
    st.data(),
)
def test_making_an_item_ungraded_never_improves_a_verdict(
    items: list[tuple[str, bool | None, bool | None]],
    limit: float,
    average: Any,
    cluster_size: int | None,
    data: st.DataObject,
) -> None:
    """Neither does it make one surer: "lost" stays or becomes "undecided"."""
    limits = Limits(general_loss=limit, domain_gain=limit)
    report = Report(resamples=1000, average=average, limits=limits)
    hidden = data.draw(st.integers(0, len(items) - 1)), data.draw(st.sampled_from([1, 2]))

    def verdicts(hide: bool) -> tuple[str, str, list[bool]]:
        sides: list[dict[str, list[bool | None]]] = [{}, {}]
        for ability in ("general", "domain"):
            for i, item in enumerate(items):
                for k in (1, 2):
                    mark = None if hide and (i, k) == hidden else item[k]
                    sides[k - 1].setdefault(f"{ability} {item[0]}", []).append(mark)  # type: ignore[arg-type]
        runs = {name: evaluation(side, cluster_size) for name, side in zip(("base", "arm"), sides, strict=True)}
        arm = summarise(runs, {suite: suite.split()[0] for suite in sides[0]}, report)["arms"]["arm"]
        return arm["verdict"]["general"], arm["verdict"]["domain"], [check["met"] for check in arm["checks"]]

    (*words, met), (*fewer_words, fewer_met) = verdicts(False), verdicts(True)
    for before, after in zip(words, fewer_words, strict=True):
        assert after in (before, "undecided", "not measured")
    assert all(was or not now for was, now in zip(met, fewer_met, strict=True))


SIX = {"big": 12_000} | {f"small_{i}": 300 for i in range(5)}


def test_a_big_suite_does_not_drown_small_ones() -> None:
    """One suite of 12,000 items keeps everything, five of 300 lose a tenth each."""
    before = {suite: marked(n, 0) for suite, n in SIX.items()}
    after = {suite: marked(n, 0 if suite == "big" else n // 10) for suite, n in SIX.items()}
    limits = Limits(general_loss=2.0, domain_gain=None)
    by_suites, by_items = (arm_of(before, after, Report(average=a, limits=limits)) for a in ("suites", "items"))
    assert by_suites["averages"] == by_items["averages"]
    assert by_suites["against"]["base"]["general"]["difference"] == pytest.approx(-0.5 / 6)
    assert by_items["against"]["base"]["general"]["difference"] == pytest.approx(-150 / 13_500)
    assert by_suites["general"]["accuracy"] == pytest.approx(1 - 0.5 / 6)
    assert (by_suites["verdict"]["general"], by_items["verdict"]["general"]) == ("lost", "kept")
    assert "general accuracy (mean over 6 suites) fell" in by_suites["verdict"]["text"][0]
    assert "general accuracy (mean over items) did not fall" in by_items["verdict"]["text"][0]


def test_clusters_widen_the_intervals() -> None:
    """Ten questions on each passage, a tenth of the passages forgotten whole."""
    before, after = {"general": marked(1000, 0)}, {"general": marked(1000, 100)}
    alone, together = (arm_of(before, after, Report(), size) for size in (None, 10))
    for low, high, of in (("low", "high", "base"), ("bound_low", "bound_high", "base"), ("low", "high", None)):
        one, ten = (
            (found["against"][of] if of else found)["general"][high]
            - (found["against"][of] if of else found)["general"][low]
            for found in (alone, together)
        )
        assert ten > 2.5 * one
    assert together["against"]["base"]["general"]["p"] > alone["against"]["base"]["general"]["p"]


def test_the_page_and_the_table_show_both_averages_and_what_is_not_graded() -> None:
    before = {"passages": marked(300, 30), "facts": marked(100, 10, 2)}
    after = {"passages": marked(300, 40, 60), "facts": marked(100, 10)}
    runs = {"base": evaluation(before, 5), "arm": evaluation(after, 5)}
    summary = summarise(runs, dict.fromkeys(before, "general"), Report())
    tables = [TableCount(step, "all", 3, [], "") for step in ("mix", "evaluate")]
    text = render(Page(summary, runs, Report(), "base", tables, [], {}, {}, [], ""))
    for part in (
        "mean over 2 suites <small>(verdict)</small>",
        '<td class="left">mean over items</td>',
        "62 of 400 items not graded (2 of the base, 60 of this arm)",
        "go by the mean over suites",
        "here in facts, passages",
        '<td class="warn">60</td>',
        '<tr class="whole"><td>passages</td><td class="left">all</td>',
    ):
        assert part in text
    printed = table(summary)
    assert re.search(r"^arm +\S+ \[\S+, \S+\] n=340, 60 not graded", printed, re.MULTILINE)
    assert "the mean over suites (report.average; an ability has up to 2 suites)" in printed
    assert "Items that are not graded" in printed


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([(1, 1), (1, 0), (0, 1), (0, 0)]), min_size=1, max_size=80),
    st.sampled_from([1.0, 5.0, 20.0]),
)
def test_verdict_and_limit_agree_with_the_interval(pairs: list[tuple[int, int]], limit: float) -> None:
    runs = {
        "base": evaluation({"general": [bool(a) for a, _ in pairs]}),
        "arm": evaluation({"general": [bool(b) for _, b in pairs]}),
    }
    report = Report(resamples=1000, limits=Limits(general_loss=limit, domain_gain=None))
    arm = summarise(runs, MEASURES, report)["arms"]["arm"]
    compared = arm["against"]["base"]["general"]
    assert compared["learned"] - compared["forgotten"] == pytest.approx(compared["difference"] * len(pairs))
    assert compared["bound_low"] <= compared["difference"] <= compared["bound_high"]
    found, (only,) = arm["verdict"]["general"], arm["checks"]
    assert only["met"] == (found == "kept") == (compared["bound_low"] >= -limit / 100)
    assert (found == "lost") == (compared["bound_high"] < -limit / 100)


@pytest.mark.parametrize(
    ("share", "text"), [(-0.0004, "0.0"), (0.0216, "+2.2"), (-0.0216, "\N{MINUS SIGN}2.2"), (0, "0.0")]
)
def test_points_have_a_sign_but_no_negative_zero(share: float, text: str) -> None:
    assert points(share) == text


@given(st.floats(-1000, 1000), st.floats(0.001, 1000))
def test_ticks_lie_within_and_are_few(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-6 <= tick <= low + span + 1e-6 for tick in found)
