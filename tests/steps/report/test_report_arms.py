"""The report on arms: how long they were trained, averages of weights, preference training, curves of sweeps."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup

from holdfast.cli.summary import table
from holdfast.steps.report.training import Curve, lengths, warning
from report_build import ARMS, build


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


def test_an_arm_trained_on_pairs_costs_what_it_starts_from_and_all_calls_of_its_selection(
    built: Path, tmp_path: Path
) -> None:
    root = tmp_path / "aligned"
    shutil.copytree(built, root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    own = {"learning_rate": 0.0001, "budget": {"epochs": 2}}
    for arm, start in (("aligned", "rehearsed"), ("again", "aligned")):
        shutil.copy(root / "data/evaluate/rehearsed.parquet", root / f"data/evaluate/{arm}.parquet")
        params["arms"][arm] = {"preferences": {"arm": start, "selection": "selected"}, "train": own}
        (root / f"plots/train/{arm}.csv").write_text(
            "step,epoch,loss,eval_loss,grad_norm\n1,0.5,0.69,,9\n4,2.0,0.5,,9\n"
        )
        run = {"arm": arm, "steps": 4, "epochs": 2.0, "pairs": 30, "rejected": 2, "tokens": 1000, "accuracies": 0.875}
        (root / "data/train/dpo").mkdir(parents=True, exist_ok=True)
        (root / f"data/train/dpo/{arm}.json").write_text(json.dumps(run))
    params["arms"]["mean"] = {"merge": {"again": 0.5}}
    shutil.copy(root / "data/evaluate/rehearsed.parquet", root / "data/evaluate/mean.parquet")
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    done = build(root, "mean", aligned=("aligned", "again"))
    assert done.returncode == 0, done.stderr
    summary = json.loads((root / "metrics/summary.json").read_text())
    arms = summary["arms"]
    training = arms["aligned"]["training"]
    assert (training["steps"], training["tokens"], training["pairs"], training["rejected"]) == (4, 2000, 30, 2)
    assert training["settings"] == ["budget.epochs: 2", "learning_rate: 0.0001"]
    cost = {arm: arms[arm]["cost"] for arm in ("rehearsed", "aligned", "again", "mean")}
    fine_tuning = cost["rehearsed"]["training_tokens"]
    seen = {
        arm: tuple(cost[arm][f"{kind}tokens"] for kind in ("training_", "part_training_", "reference_")) for arm in cost
    }
    assert seen == {
        "rehearsed": (fine_tuning, 0, 0),
        "aligned": (2000, fine_tuning, 2000),
        "again": (2000, fine_tuning + 2000, 4000),
        "mean": (0, fine_tuning + 4000, 4000),
    }
    assert cost["aligned"]["model_calls"] == cost["mean"]["model_calls"] > cost["rehearsed"]["model_calls"]
    calls = cost["aligned"]["call_tokens"]
    assert cost["aligned"]["token_passes"] == 3 * (fine_tuning + 2000) + 2000 + calls
    page, words = (root / "report/index.html").read_text(), "rehearsed + DPO on pairs of selected"
    assert f"<td>aligned <small>{words}</small></td>" in page
    assert "aligned was trained on 30 pairs of answers; 2 were left out." in page
    assert "more likelihood than the rejected one in 87.5 % of the last pairs" in page
    assert f"aligned = {words}: preference training." in table(summary)
    assert "loss, nats per pair" in page


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
