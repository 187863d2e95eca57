"""The report step on a made-up build: the proof, the verdicts, the page and the gate."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.cli.check import check
from holdfast.cli.summary import table
from holdfast.common.errors import UserError
from holdfast.steps.report.page import estimate, render
from holdfast.steps.report.params import Limits, Report
from holdfast.steps.report.plots import ticks
from holdfast.steps.report.row_counts import TableCount
from holdfast.steps.report.statistics import paired_score, wilson
from holdfast.steps.report.summary import summarise
from holdfast.steps.report.verdict import points
from models import ROOT
from report_data import evaluation, write_chain

ARMS = ("domain_only", "public", "rehearsed")
MODELS = ("base", "scholar")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MEASURES = {"general": "general", "domain": "domain"}
Marks = dict[str, list[bool | None]]


def build(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the step in `root` as the rule does."""
    lists = {
        "generations": [f"data/generate/{model}.parquet" for model in MODELS],
        "scores": [f"data/score/{model}.parquet" for model in MODELS],
        "mixtures": [f"data/mix/{arm}/summary.json" for arm in ARMS],
        "rejected": ["data/clean/rejected.parquet", "data/filter/selected.rejected.parquet"]
        + [f"data/generate/{model}.rejected.parquet" for model in MODELS]
        + [f"data/mix/{arm}/rejected.parquet" for arm in ARMS],
        "evaluations": [f"data/evaluate/{arm}.parquet" for arm in ("base", *ARMS)],
        "metrics": ["metrics/clean.json", "metrics/filter.json", "metrics/my_own.json"],
        "curves": [f"plots/train/{arm}.csv" for arm in ARMS],
    }
    command = [sys.executable, "-m", "holdfast.steps.report", "--params", "base,report,evaluate.suites,train.budget"]
    command += ["--prompts", "data/seed/prompts.parquet", "--samples", "data/reconstruct/samples.parquet"]
    command += ["--instructions", "data/clean/instructions.parquet", "--cube", "data/filter/cube.parquet"]
    command += ["--selected", "data/filter/selected.parquet"]
    command += ["--summary", "metrics/summary.json", "--page", "report/index.html"]
    for name, paths in lists.items():
        command += [f"--{name}", *paths]
    return subprocess.run(
        command,
        cwd=root,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("build")
    write_chain(root, size=30, general=500, domain=200)
    params = {
        "base": "base",
        "report": {"limits": {"general_loss": 5.0, "domain_gain": 50.0}, "gated": ["rehearsed"]},
        "evaluate": {
            "suites": {
                name: {"kind": "exact", "path": f"{name}.jsonl", "measures": name} for name in ("general", "domain")
            }
        },
        "train": {"budget": {"steps": 150}},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    done = build(root)
    assert done.returncode == 0, done.stderr
    return root


def test_the_summary_holds_accuracy_and_n_per_arm(built: Path) -> None:
    arms = json.loads((built / "metrics/summary.json").read_text())["arms"]
    assert list(arms) == ["base", *ARMS]
    assert {arm: arms[arm]["general"]["n"] for arm in arms} == dict.fromkeys(arms, 500)
    assert arms["base"]["general"]["accuracy"] == pytest.approx(0.96)
    assert arms["rehearsed"]["domain"]["accuracy"] == pytest.approx(0.905)
    compared = arms["rehearsed"]["against"]["base"]["general"]
    assert (compared["learned"], compared["forgotten"], compared["difference"]) == (20, 20, 0)
    assert compared["low"] < 0 < compared["high"]
    assert compared["p"] == pytest.approx(1.0)
    tasks = arms["public"]["against"]["base"]["suites"]["general"]["tasks"]
    assert all(task["p_holm"] >= task["p"] for task in tasks.values())
    assert (
        sum(task["forgotten"] for task in tasks.values()) == arms["public"]["against"]["base"]["general"]["forgotten"]
    )
    assert arms["rehearsed"]["against"]["domain_only"]["general"]["difference"] == pytest.approx(0.46)
    assert arms["rehearsed"]["verdict"]["general"] == "kept"
    assert arms["domain_only"]["verdict"]["general"] == "lost"


class Reader(HTMLParser):
    """Collects what a page would load, and checks that its tags close."""

    VOID = ("meta", "link", "input", "br", "line", "circle", "rect", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loads += [
            f"{v}" for k, v in attrs if k in ("src", "href", "data", "poster", "srcset") and not f"{v}".startswith("#")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<line/>` opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_further_metrics_are_shown_as_they_are(built: Path) -> None:
    text = (built / "report/index.html").read_text()
    shown = text[text.index("metrics/my_own.json") :]
    assert '<td>precision</td><td class="left">0.875</td>' in shown
    assert '<td>task shares sums</td><td class="left">0.25</td>' in shown


def test_the_page_needs_no_network_and_runs_nothing_of_the_data(built: Path) -> None:
    text = (built / "report/index.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.loads == ["data:,"]
    assert reader.scripts == 1
    assert not re.search(r"url\(|@import|https?://", text)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    for heading in (
        "Verdicts",
        "Accuracy",
        "By suite and task",
        "Items learned and forgotten",
        "Rows by step",
        "The reconstruction",
    ):
        assert heading in text
    for part in (
        "The committee",
        "Training",
        "the same 150 optimiser steps",
        "truncated 2",
        "rehearsal 83.0%",
        "WARNING: rows that hold evaluation items: domain 1,234 of gsm8k.jsonl",
        "not_best",
        "3.5",
        "<td>\N{MINUS SIGN}0.10</td>",
        "<td>unknown</td>",
    ):
        assert part in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_the_page_runs_in_a_browser_without_a_complaint(built: Path, tmp_path: Path) -> None:
    page = (built / "report/index.html").resolve().as_uri()
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--enable-logging=stderr"]
    no_network = "--host-resolver-rules=MAP * ~NOTFOUND"
    shown = subprocess.run(
        [f"{CHROMIUM}", *options, no_network, "--dump-dom", page], capture_output=True, text=True, timeout=120
    )
    assert "How it is computed" in shown.stdout
    assert "CONSOLE" not in shown.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_the_page_fits_a_phone_and_wide_tables_scroll_in_their_box(built: Path, tmp_path: Path) -> None:
    (tmp_path / "frame.html").write_text((built / "report/index.html").read_text() + MEASURE)
    (tmp_path / "page.html").write_text('<iframe src="frame.html" style="width:390px;height:800px"></iframe>')
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    options += ["--disable-background-networking", "--allow-file-access-from-files", "--virtual-time-budget=5000"]
    page = (tmp_path / "page.html").as_uri()
    shown = subprocess.run([f"{CHROMIUM}", *options, "--dump-dom", page], capture_output=True, text=True, timeout=120)
    wide, open_width, scrolling = map(int, re.findall(r"MEASURED (\d+) (\d+) (\d+)", shown.stdout)[0])
    assert wide <= open_width <= 390
    assert scrolling > 0


MEASURE = """<script>
for (const part of document.querySelectorAll("details")) part.open = true;
const page = document.documentElement, boxes = [...document.querySelectorAll(".scroll")];
const scrolling = boxes.filter(box => box.scrollWidth > box.clientWidth).length;
const said = parent.document.createElement("p");
said.textContent = `MEASURED ${page.scrollWidth} ${page.clientWidth} ${scrolling}`;
parent.document.body.append(said);
</script>"""


def test_same_inputs_give_the_same_bytes_whatever_the_order_of_rows(built: Path) -> None:
    files = [built / "report/index.html", built / "metrics/summary.json"]
    before = [file.read_bytes() for file in files]
    for path in sorted(built.glob("data/*/*.parquet")):
        frame = pl.read_parquet(path)
        frame.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(path)
    assert build(built).returncode == 0
    assert [file.read_bytes() for file in files] == before


def test_the_gate_passes_what_holds_and_names_what_fails(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(built)

    class Arguments:
        arms: tuple[str, ...] = ()

    assert check(Arguments()) == 0  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "ok     rehearsed: general_loss at most 5 points: met" in said
    assert "domain_only" not in said
    Arguments.arms = ("domain_only",)
    assert check(Arguments()) == 1  # type: ignore[arg-type]
    assert "FAILED domain_only: general_loss" in capsys.readouterr().out
    Arguments.arms = ("nobody",)
    with pytest.raises(UserError, match="has no arm 'nobody', only domain_only, public, rehearsed"):
        check(Arguments())  # type: ignore[arg-type]
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["report"]["average"] = "items"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copytree("metrics", tmp_path / "metrics")
    monkeypatch.chdir(tmp_path)
    Arguments.arms = ()
    with pytest.raises(UserError, match=r"built with report\.average 'suites', but params\.yaml has 'items'"):
        check(Arguments())  # type: ignore[arg-type]
    monkeypatch.chdir(built)
    printed = table(json.loads(Path("metrics/summary.json").read_text()))
    assert [line.split()[0] for line in printed.splitlines()[:5]] == ["arm", "base", *ARMS]
    assert re.search(r"^base +96\.0 \[93\.9, 97\.4\] n=500 +5\.0 ", printed, re.MULTILINE)
    assert "report/index.html" in printed


def test_a_broken_input_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    write_chain(tmp_path, size=3, general=60, domain=50)
    suites = {name: {"kind": "exact", "path": "x", "measures": name} for name in ("general", "domain")}
    settings = {"base": "base", "report": {}, "evaluate": {"suites": suites}, "train": {"budget": {"steps": 1}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    evaluation({"general": [True] * 59}).write_parquet(tmp_path / "data/evaluate/public.parquet")
    done = build(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/evaluate/public.parquet: not the items that the base model answered")
    (tmp_path / "data/evaluate/public.parquet").write_bytes(b"PAR1")
    assert "error: data/evaluate/public.parquet: not a readable Parquet file" in build(tmp_path).stderr
    assert not (tmp_path / "report").exists()
    assert not (tmp_path / "metrics/summary.json").exists()


def test_several_seeds_show_their_spread_and_widen_the_interval() -> None:
    base = [i % 20 != 0 for i in range(400)]
    runs = {"base": evaluation({"general": base}), "arm": evaluation({"general": [i % 18 != 0 for i in range(400)]})}
    one = summarise(runs, MEASURES, Report())["arms"]["arm"]
    runs |= {f"arm-s{s}": evaluation({"general": [i % (18 - 4 * s) != 0 for i in range(400)]}) for s in (1, 2)}
    three = summarise(runs, MEASURES, Report())["arms"]["arm"]
    assert one["against"]["base"]["general"]["seed_sd"] is None
    compared = three["against"]["base"]["general"]
    assert len(three["general"]["by_seed"]) == three["seeds"] == compared["seeds"] == 3
    assert compared["seed_sd"] > 0
    assert compared["bound_high"] - compared["bound_low"] > 2 * compared["seed_sd"]


@pytest.mark.parametrize(
    ("marks", "spread"), [([True, False, True], "0.0"), ([True, None, None], "0.0"), ([None], "unknown")]
)
def test_the_page_of_several_seeds(marks: list[bool | None], spread: str) -> None:
    runs = dict.fromkeys(("base", "arm", "arm-s1", "arm-s2"), evaluation({"general": marks}))
    tables = [TableCount(step, "all", 3, [], "") for step in ("mix", "evaluate")]
    summary = summarise(runs, MEASURES, Report())
    text = render(summary, runs, Report(), "base", tables, [], {}, {}, [], "")
    assert f'<td class="left">general</td><td>{spread}</td>' in text
    assert "other items and other training seeds" in text


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_few_unchanged_items_decide_nothing_however_many_seeds_say_so(seeds: int) -> None:
    same = evaluation({"general": [True] * 6 + [False] * 2})
    runs = {"base": same, "arm": same} | {f"arm-s{seed}": same for seed in range(1, seeds)}
    arm = summarise(runs, MEASURES, Report(limits=Limits(general_loss=5.0)))["arms"]["arm"]
    assert arm["verdict"]["general"] == "undecided"
    assert "\N{MINUS SIGN}32.4 to +32.4" in arm["verdict"]["text"][0]
    assert not arm["checks"][0]["met"]
    drawn = estimate("arm", arm["against"]["base"]["general"])
    assert (drawn.low, drawn.high) == pytest.approx((-32.4, 32.4), abs=0.05)


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
    text = render(summary, runs, Report(), "base", tables, [], {}, {}, [], "")
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
