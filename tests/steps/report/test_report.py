"""The report step on a made-up build: the proof, the verdicts, the page and the gate."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
import yaml
from markupsafe import Markup

from holdfast.cli.check import check
from holdfast.cli.summary import table
from holdfast.common.errors import UserError
from holdfast.steps.report.page import render
from holdfast.steps.report.params import Limits, Report
from holdfast.steps.report.row_counts import TableCount
from holdfast.steps.report.sections import Page, estimate
from holdfast.steps.report.summary import summarise
from holdfast.steps.report.training import Curve, lengths, warning
from models import ROOT
from report_data import evaluation, write_chain

ARMS = ("domain_only", "public", "rehearsed")
MODELS = ("base", "scholar")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MEASURES = {"general": "general", "domain": "domain"}
Marks = dict[str, list[bool | None]]


def build(root: Path, *averages: str, curves: str = "base") -> subprocess.CompletedProcess[str]:
    """Run the step in `root` as the rule does; `averages`: arms without a mixture and training of their own."""
    lists = {
        "generations": [f"data/generate/{model}.parquet" for model in MODELS],
        "scores": [f"data/score/{model}.parquet" for model in MODELS],
        "mixtures": [f"data/mix/{arm}/summary.json" for arm in ARMS],
        "rejected": ["data/clean/rejected.parquet", "data/filter/selected.rejected.parquet"]
        + [f"data/generate/{model}.rejected.parquet" for model in MODELS]
        + [f"data/mix/{arm}/rejected.parquet" for arm in ARMS],
        "evaluations": [f"data/evaluate/{arm}.parquet" for arm in ("base", *ARMS, *averages)],
        "metrics": ["metrics/clean.json", "metrics/filter.json", "metrics/my_own.json"],
        "curves": [f"plots/train/{arm}.csv" for arm in ARMS],
    }
    command = [
        sys.executable,
        "-m",
        "holdfast.steps.report",
        "--params",
        f"base,report,evaluate.suites,train.budget,arms,{curves}",
    ]
    command += ["--prompts", "data/seed/prompts.parquet", "--samples", "data/reconstruct/samples.parquet"]
    command += ["--instructions", "data/clean/instructions.parquet", "--all-scores", "data/filter/all_scores.parquet"]
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
        "arms": {"public": {"train": {"learning_rate": 0.0002, "axolotl": {"optimizer": "lion"}}}},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    done = build(root)
    assert done.returncode == 0, done.stderr
    return root


def test_an_average_is_a_row_that_says_what_it_is_made_of_and_costs_what_that_costs(
    built: Path, tmp_path: Path
) -> None:
    root = tmp_path / "averaged"
    shutil.copytree(built, root)
    shutil.copy(root / "data/evaluate/rehearsed.parquet", root / "data/evaluate/averaged.parquet")
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["arms"]["averaged"] = {"merge": {"rehearsed": 0.5, "public": 0.2, "domain_only": 0}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    done = build(root, "averaged")
    assert done.returncode == 0, done.stderr
    summary = json.loads((root / "metrics/summary.json").read_text())
    arms, words = summary["arms"], "0.2 public + 0.5 rehearsed + 0.3 base"
    assert set(arms) == {"base", "averaged", *ARMS}
    assert (arms["averaged"]["average"], "training" in arms["averaged"]) == (words, False)
    costs = {arm: arms[arm]["cost"] for arm in ("averaged", "public", "rehearsed")}
    trained = costs["public"]["training_tokens"] + costs["rehearsed"]["training_tokens"]
    assert (costs["averaged"]["training_tokens"], costs["averaged"]["part_training_tokens"]) == (0, trained)
    assert trained > 0
    assert costs["averaged"]["model_calls"] == costs["rehearsed"]["model_calls"] > 0
    assert costs["averaged"]["token_passes"] == costs["rehearsed"]["token_passes"] + costs["public"]["token_passes"]
    assert summary["recommendation"]["arm"] == "rehearsed", "as good, and cheaper"
    page = (root / "report/index.html").read_text()
    assert f"<td>averaged <small>{words}</small></td>" in page
    assert f"averaged is {words}: the average of these weights, for which nothing was trained." in page
    assert f"averaged = {words}: an average of weights." in table(summary)
    assert "an average of weights" not in table(json.loads((built / "metrics/summary.json").read_text()))


def test_a_sweep_is_drawn_as_a_curve_with_intervals(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "swept"
    shutil.copytree(built, root)
    points = [{"value": 0.83, "arm": "rehearsed"}, {"value": 0, "arm": "domain_only"}, {"value": 0.5, "arm": "public"}]
    (root / "data/workflow").mkdir()
    curve = {"arm": "rehearsed", "set": "sources.rehearsal", "points": points}
    rates = curve | {"set": "train.learning_rate", "points": [{"value": 2e-5, "arm": "public"}]}
    content = {"arms": {}, "curves": {"share": curve, "rate": rates}}
    (root / "data/workflow/sweeps.yaml").write_text(yaml.safe_dump(content))
    done = build(root, curves="curves.share")
    assert done.returncode == 0, done.stderr
    assert json.loads((root / "metrics/summary.json").read_text())["sweeps"] == {"share": curve}, (
        "only what is declared"
    )
    done = build(root, curves="curves.share,curves.rate")
    assert done.returncode == 0, done.stderr
    page = (root / "report/index.html").read_text()
    section = page.partition('<h2 id="sweeps">')[2].partition("<h2")[0]
    assert "Accuracy against sources.rehearsal of rehearsed (sweep share), with 95 % intervals." in section
    assert len(re.findall(r'<line [^>]*class="whisker even"', section.partition("</svg>")[0])) == 3 + 1, (
        "and the legend"
    )
    rows = re.findall(r"<tr><td>([^<]+)</td><td class=\"left\">(\w+)</td><td>([\d.]+)", section)
    assert rows[:3] == [("0", "domain_only", "50.0"), ("0.5", "public", "33.4"), ("0.83", "rehearsed", "96.0")]
    assert 'id="sweeps"' not in (built / "report/index.html").read_text()


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


def test_the_report_says_how_long_each_arm_was_trained_and_how_arms_differ(built: Path) -> None:
    arms = json.loads((built / "metrics/summary.json").read_text())["arms"]
    assert "training" not in arms["base"]
    seen = {arm: arms[arm]["training"] for arm in ARMS}
    assert {(f["steps"], f["epochs"], f["tokens"]) for f in seen.values()} == {(90, 1.0, 2000)}
    assert {arm: f["domain_passes"] for arm, f in seen.items()} == {"domain_only": 4.25, "public": 4.25, "rehearsed": 1}
    assert seen["public"]["settings"] == ["axolotl.optimizer: lion", "learning_rate: 0.0002"]
    text = (built / "report/index.html").read_text()
    training = text[text.index('<h2 id="training">') :]
    assert "<td>4.25</td>" in training
    assert "axolotl.optimizer: lion, learning_rate: 0.0002</td>" in training
    assert "domain_only saw each of its domain rows 4.2 times, rehearsed once." in training


@pytest.mark.parametrize(("most", "warned"), [(15, False), (16, True)])
def test_arms_that_saw_the_domain_much_more_often_are_warned_about(most: int, warned: bool) -> None:
    passes = {"a": 10, "b": most, "without": None}
    assert bool(warning({arm: {"domain_passes": n} for arm, n in passes.items()})) == warned
    assert warning({"without": {"domain_passes": None}}) == ""


def test_an_arm_s_length_is_the_mean_of_its_runs_and_counts_slices_together(tmp_path: Path) -> None:
    parts = [{"source": "tickets", "train_rows": rows, "repeated_rows": again} for rows, again in ((6, 2), (4, 3))]
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"train_tokens": 500, "sources": parts}))
    runs = [Curve("a", Markup(""), 10, 2.0), Curve("a-s1", Markup(""), 12, 3.0), Curve("b", Markup(""), 5, 1.0)]
    found = lengths(runs, [str(folder / "summary.json")], "tickets")
    assert found == {"a": {"steps": 11, "epochs": 2.5, "tokens": 1250, "domain_passes": 5.0}}
    assert lengths(runs, [str(folder / "summary.json")], "other")["a"]["domain_passes"] is None


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


def test_the_frontier_the_costs_and_the_recommendation_are_in_every_output(built: Path) -> None:
    """rehearsed: 83 of the 100 rows of `selected`, behind which are 33 samples of 10 tokens, 120 answers and 240
    judgements."""
    summary = json.loads((built / "metrics/summary.json").read_text())
    assert summary["frontier"]["arms"] == ["rehearsed"]
    assert summary["frontier"]["dominated"]["domain_only"]["by"] == "rehearsed"
    assert summary["recommendation"]["arm"] == "rehearsed"
    cost = summary["arms"]["rehearsed"]["cost"]
    assert (cost["samples"], cost["answers"], cost["judgements"]) == (round(27.39), round(99.6), round(199.2))
    assert (cost["training_tokens"], cost["call_tokens"], cost["token_passes"]) == (2000, round(273.9), round(6273.9))
    assert summary["arms"]["domain_only"]["cost"]["model_calls"] == 0
    page = (built / "report/index.html").read_text()
    section = page[page.index('<h2 id="frontier">') : page.index('<h2 id="accuracy">')]
    assert "Recommended: rehearsed" in section
    assert section.count('class="dot good"') == 1
    assert "below rehearsed" in section
    lines = table(summary).splitlines()
    assert any(line.startswith("Recommended: rehearsed: the only arm that keeps every limit") for line in lines)
    assert any(line.startswith("Not on it: public, because rehearsed is better by ") for line in lines)


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
        "WARNING: rows with evaluation items: domain 1,234 of gsm8k.jsonl",
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
    wide, open_width, scrolling, saying = map(int, re.findall(r"MEASURED (\d+) (\d+) (\d+) (\d+)", shown.stdout)[0])
    assert wide <= open_width <= 390
    assert scrolling == saying > 0, "tables wider than the screen say so"


MEASURE = """<script>
for (const part of document.querySelectorAll("details")) part.open = true;
const page = document.documentElement, boxes = [...document.querySelectorAll(".scroll")];
mark();
const scrolling = boxes.filter(box => box.scrollWidth > box.clientWidth).length;
const said = parent.document.createElement("p");
const saying = document.querySelectorAll(".scroll.wide").length;
said.textContent = `MEASURED ${page.scrollWidth} ${page.clientWidth} ${scrolling} ${saying}`;
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
    text = render(Page(summary, runs, Report(), "base", tables, [], {}, {}, [], ""))
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
