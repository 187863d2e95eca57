"""The report step on a made-up build: the summary, the verdicts, the advice and the gate."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from holdfast.cli.check import check
from holdfast.cli.summary import table
from holdfast.common.errors import UserError
from holdfast.steps.report.params import Limits, Report
from holdfast.steps.report.sections import estimate
from holdfast.steps.report.summary import summarise
from report_build import ARMS, build
from report_data import evaluation, write_chain

MEASURES = {"general": "general", "domain": "domain"}
Marks = dict[str, list[bool | None]]


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
