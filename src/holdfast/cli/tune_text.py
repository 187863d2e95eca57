"""What `holdfast tune` prints: what it may cost, how each share did, and what was found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.build.job import last_duration_s
from holdfast.build.plan_evaluations import evaluations
from holdfast.build.plan_figures import Rows
from holdfast.build.plan_outlook import Outlook
from holdfast.build.plan_text import summed
from holdfast.cli.params_edit import arm_text
from holdfast.cli.tune_search import Found
from holdfast.common.run_names import run_names
from holdfast.common.wording import counted, duration
from holdfast.params.schema import Params
from holdfast.steps.report.params import Report
from holdfast.steps.report.recommendation import percent
from holdfast.steps.report.training import lengths, read_curve
from holdfast.steps.report.verdict import Check, limits, points


class Bound(NamedTuple):
    """What is searched, and how many arms it may take."""

    arm: str
    least: float
    greatest: float
    precision: float
    arms: int  # to train, at most
    seeds: int  # training runs of each


class Trial(NamedTuple):
    """A share that was tried. `figures`: the arm's entry in a summary."""

    share: float
    name: str
    arm: dict[str, Any]
    figures: dict[str, Any]
    checks: list[Check]

    @property
    def keeps(self) -> bool:
        return all(check.met for check in self.checks)


def limits_in_words(report: Report) -> str:
    return " and ".join(f"{limit.name} {limit.allowed}" for limit in limits("", report))


def cost(bound: Bound, params: Params, report: Report, least: str | None) -> list[str]:
    """What the search may cost, by the runs of the arm. `least`: the arm with the least share, if it is built."""
    least_arm = f" ({least}, built)" if least else ""
    to_train = f"at most {counted(bound.arms, 'arm')} to train" if bound.arms else "no arm to train"
    lines = [
        f"The least share of rehearsal with which {bound.arm} keeps {limits_in_words(report)} (report.limits):",
        f"between {bound.least:g}{least_arm} and {bound.greatest:g} ({bound.arm}, built), to {bound.precision:g};"
        f" {to_train}",
    ]
    if not bound.arms:
        return lines
    runs = run_names([bound.arm], bound.seeds)
    tokens = training_tokens(bound.arm, runs, params.mix.size_from)
    training, evaluating = seconds("train", runs), seconds("evaluate", runs)
    each = [
        *([f"{counted(bound.seeds, 'training run')}"] if bound.seeds > 1 else []),
        f"about {counted(tokens * bound.seeds, 'training token')}" if tokens else "training tokens not known",
        f"{duration(training)} of training" if training else "time of training not known",
        f"{duration(evaluating)} of evaluation" if evaluating else "time of evaluation not known",
    ]
    rows = evaluation_rows(bound, params) * bound.seeds
    lines += [f"Each, as {bound.arm} took: {', '.join(each)}; {summed(rows)}"]
    if bound.arms > 1:
        every = [
            f"about {counted(tokens * bound.seeds * bound.arms, 'training token')}" if tokens else "",
            f"about {duration((training + evaluating) * bound.arms)}" if training and evaluating else "",
            summed(rows * bound.arms),
        ]
        lines.append(f"All at most: {', '.join(filter(None, every))}")
    lines += dict.fromkeys(row.uncounted for row in rows if row.uncounted)
    return [*lines, "Arms that an earlier search has trained are in DVC's cache and cost nothing."]


def training_tokens(arm: str, runs: list[str], domain: str) -> int | None:
    """Of one training run of the arm; None where its files are not there."""
    files, mixture = [f"plots/train/{run}.csv" for run in runs], f"data/mix/{arm}/summary.json"
    if not all(Path(path).exists() for path in [*files, mixture]):
        return None
    tokens: int = lengths(map(read_curve, files), [mixture], domain)[arm]["tokens"]
    return tokens


def seconds(step: str, runs: list[str]) -> float | None:
    """How long the step took for all of the runs when they last ran here; None where that is not known."""
    found = [last_duration_s(f"{step}-{run}") for run in runs]
    return None if None in found else sum(filter(None, found))


def evaluation_rows(bound: Bound, params: Params) -> list[Rows]:
    """What one evaluation of a model that is yet to be trained asks."""
    new = f"{bound.arm}-new"  # no model has this name
    arguments = {"arm": [new], "model": [f"models/{new}"]}
    return list(evaluations(arguments, Outlook(params, lambda path: Path(path).exists())))


def outcome(trial: Trial) -> str:
    """Whether the arm keeps the limits, and each of them."""
    kept = "keeps the limits" if trial.keeps else "misses " + missed(trial)
    lines = [f"    {'ok    ' if check.met else 'FAILED'} {check.text}" for check in trial.checks]
    return "\n".join([f"{trial.name}: a share of {trial.share:g} {kept}", *lines])


def missed(trial: Trial) -> str:
    return " and ".join(check.limit for check in trial.checks if not check.met)


def result(bound: Bound, found: Found, trials: Mapping[str, Trial], sure: float | None, report: Report) -> str:
    """The table of the shares that were tried, what was found, and how sure that is."""
    ordered = sorted(trials.values(), key=lambda trial: trial.share)
    lines = [*table(ordered, report), ""]
    if found.keeps is None:
        return "\n".join([*lines, *nothing_found(ordered[-1])])
    best = next(trial for trial in ordered if trial.share == found.keeps)
    what = f"Found: {best.share:g} ({best.name}) keeps {limits_in_words(report)}"
    if found.misses is None:
        lines.append(f"{what}. These limits need no rehearsal.")
    else:
        lines.append(
            f"{what}, and {found.misses:g} does not: the least share is between the two (if more rehearsal never keeps"
            " less)."
        )
        if found.keeps - found.misses > bound.precision * 1.001:
            lines.append(f"That is wider than {bound.precision:g}, because --max-arms ended the search.")
    if sure is not None:
        of_choice = max(0.0, 1 - len(ordered) * (1 - sure))
        lines.append(
            f"Its confidence of keeping them is {percent(sure)} by itself, and {percent(of_choice)} if one allows for"
            f" the choice among {counted(len(ordered), 'share')}."
        )
    if bound.seeds == 1:
        lines.append("Another training run may come out differently: training_seeds: 3 measures that.")
    return "\n".join(lines)


def table(trials: Sequence[Trial], report: Report) -> list[str]:
    """One line for each share: its changes against the base with their intervals, and the limits that it misses."""
    confidence = f"{report.confidence * 100:g} %"
    rows = [["share", "arm", f"general, points [{confidence}]", f"domain, points [{confidence}]", "limits"]]
    for trial in trials:
        cells = [cell(trial.figures["against"]["base"].get(ability)) for ability in ("general", "domain")]
        rows.append([f"{trial.share:g}", trial.name, *cells, "kept" if trial.keeps else f"misses {missed(trial)}"])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join([*map(str.ljust, row[:4], widths), row[4]]) for row in rows]


def cell(compared: Mapping[str, Any] | None) -> str:
    if compared is None or compared["difference"] is None:
        return "not measured"
    difference, low, high = (points(compared[key]) for key in ("difference", "bound_low", "bound_high"))
    return f"{difference} [{low}, {high}]"


def nothing_found(greatest: Trial) -> list[str]:
    """What to say where the greatest share misses a limit."""
    lines = [
        f"Nothing found: even the greatest share, {greatest.share:g} ({greatest.name}), misses {missed(greatest)}."
    ]
    if not any(check.limit == "general_loss" for check in greatest.checks if not check.met):
        lines.append("More rehearsal does not mend that: name an arm with a smaller share, or train for longer.")
    return [*lines, "`holdfast summary` says what else to try."]


def how_to_use(name: str, arm: dict[str, Any]) -> str:
    """For an arm that is not in params.yaml."""
    return (
        f"Add it to params.yaml, or have the same command do it with --write:\narms:\n{arm_text(name, arm)}"
        "Then run `snakemake --cores all`, which takes its files from DVC's cache."
    )
