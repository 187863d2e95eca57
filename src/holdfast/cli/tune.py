"""`holdfast tune`: the least share of rehearsal with which an arm keeps the limits of `report.limits`, by bisection.

Each share that is tried is an ordinary arm. Snakemake builds it in `.holdfast/tune`, a checkout that shares the
project's DVC cache and journal: nothing that is built is built again, and no model is asked twice. The project's own
params.yaml, dvc.yaml and dvc.lock are not touched, until `--write` adds the arm that was found to params.yaml.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from holdfast.build import staleness
from holdfast.build.ownership import Build
from holdfast.build.stages import downstream, makers, needed
from holdfast.build.versions import Versions
from holdfast.cli.check import report_settings
from holdfast.cli.params_edit import add_arm
from holdfast.cli.tune_search import (
    REHEARSAL,
    Found,
    Values,
    arm_at,
    equal_arm,
    grid,
    least_share,
    most_tried,
    name_at,
    share_of,
)
from holdfast.cli.tune_text import Bound, Trial, cost, outcome, result
from holdfast.cli.workspace import build, check_out, copy_fingerprints, write_params
from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.common.files import scan_table
from holdfast.common.run_names import run_names
from holdfast.common.tables import EVALUATIONS
from holdfast.params.file_checks import named_paths
from holdfast.params.schema import Params
from holdfast.params.sweeps import with_sweeps
from holdfast.params.validation import validate
from holdfast.steps.report.params import Report
from holdfast.steps.report.summary import confidence_of, runs_of, side_by_side, summarise
from holdfast.steps.report.verdict import checks, limits

FOLDER = Path(".holdfast/tune")
PRECISION = 0.05


class Experiment(NamedTuple):
    """A share, and the arm that it is: one of params.yaml, or one that is only built here."""

    share: float
    name: str
    arm: Values
    built: bool  # evaluated in the project, and up to date


def command(subparsers: Any) -> None:
    """Add `tune` to the command line."""
    about = "find the least share of rehearsal with which an arm keeps report.limits, by training a few arms"
    parser = subparsers.add_parser("tune", help=about)
    parser.add_argument(
        "arm", nargs="?", metavar="ARM",
        help="smaller shares than this arm's are tried (default: the arm with rehearsal and the domain source)",
    )  # fmt: skip
    parser.add_argument("--precision", type=float, default=PRECISION, help=f"of the share, 0.001 to 1 ({PRECISION})")
    parser.add_argument("--max-arms", type=int, help="train at most so many arms, and show what they tell")
    parser.add_argument("--yes", action="store_true", help="start without asking")
    parser.add_argument("--write", action="store_true", help="add the arm that was found to params.yaml")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> int:
    """Search, and print what was found. Returns 1 where no share keeps the limits."""
    precision, most = arguments.precision, arguments.max_arms
    if not 0.001 <= precision <= 1:
        raise UserError(f"--precision {precision}: must be from 0.001 to 1")
    if most is not None and most < 1:
        raise UserError(f"--max-arms {most}: must be at least 1")
    params, values, report = validate(), with_trained_arms(section.load()), report_settings()
    if not limits("", report):
        raise UserError("params.yaml: report.limits sets no limit that an arm could keep; set one")
    name = arguments.arm or default_arm(values)
    versions, changes = staleness.look()
    tune = Tune(values, report, versions, downstream(versions.stages, changes))
    tune.check_built(name)
    tried = list(tune.experiments(name, precision))
    inner = [one for one in tried[1:-1] if not one.built]
    arms = min(len(inner), most_tried([one.share for one in tried])) + (not tried[0].built)
    arms = arms if most is None else min(arms, most)
    bound = Bound(name, tried[0].share, tried[-1].share, precision, arms, tune.seeds)
    print("\n".join(cost(bound, params, report, tried[0].name if tried[0].built else None)))
    if arms and not arguments.yes:
        ask()
    running = Build("holdfast tune")
    try:
        check_out(FOLDER, versions, own_files(versions, params), tune.upstream(name))
        found = tune.search(tried, arms)
    finally:
        copy_fingerprints(FOLDER, Path())
        running.end()
    chosen = next((one for one in tried if one.share == found.keeps), None)
    sure = tune.sureness(chosen) if chosen else None
    known = chosen is not None and chosen.name in values["arms"]
    print("\n" + result(bound, found, tune.trials, sure, report, known))
    if chosen is None:
        return 1
    if arguments.write and not known:
        add_arm(chosen.name, chosen.arm, f"`holdfast tune --precision {precision:g}` of {name}")
        print(f"params.yaml: has the arm {chosen.name} now; `snakemake --cores all` takes its files from DVC's cache")
    return 0


def with_trained_arms(values: Values) -> Values:
    """The content of params.yaml with the arms of its sweeps among the others, without sweeps and averages of arms."""
    trained = {name: arm for name, arm in with_sweeps(values)["arms"].items() if "merge" not in arm}
    return {key: value for key, value in values.items() if key != "sweeps"} | {"arms": trained}


def default_arm(values: Values) -> str:
    """The only arm with rehearsal and the source that sets mixtures' sizes. Raises UserError where there are more."""
    domain = values["mix"].get("size_from", "domain")
    found = [name for name, arm in values["arms"].items() if {REHEARSAL, domain} <= set(arm["sources"])]
    if not found:
        raise UserError(f"params.yaml: arms: none has the sources {REHEARSAL} and {domain}; add one with a large share")
    if len(found) > 1:
        choices = ", ".join(f"{name} ({share_of(values['arms'][name]):g})" for name in found)
        raise UserError(f"several arms have {REHEARSAL}: {choices}; name one: holdfast tune {found[0]}")
    return found[0]


def ask() -> None:
    """Raises UserError where the answer is not yes, or nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("nobody can be asked here; --yes starts without asking")
    try:
        answer = input("Start? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise UserError("not started")


def own_files(versions: Versions, params: Params) -> list[str]:
    """The files that stages read, or params.yaml names, and no stage makes."""
    maker = makers(versions.stages)
    read = {dep for stage in versions.stages.values() for dep in stage["deps"]}
    return sorted(path for path in read | {path for _, path in named_paths(params)} if path not in maker)


class Tune:
    """The project as it was found, and the shares that were tried."""

    def __init__(self, values: Values, report: Report, versions: Versions, due: set[str]) -> None:
        self.values, self.report, self.stages, self.due = values, report, versions.stages, due
        self.arms: dict[str, Values] = values["arms"]
        self.seeds: int = values.get("training_seeds", 1)
        suites = values["evaluate"]["suites"]
        self.measures = {name: suite.get("measures", "general") for name, suite in suites.items()}
        self.trials: dict[str, Trial] = {}  # by the arm's name
        self.tables: dict[str, dict[str, pl.DataFrame]] = {}  # the evaluations of each arm by run
        self.trained = 0

    def is_built(self, arm: str) -> bool:
        """Whether the arm's evaluations are there and up to date."""
        runs = ["base"] if arm == "base" else run_names([arm], self.seeds)
        return all(f"evaluate-{run}" in self.stages and f"evaluate-{run}" not in self.due for run in runs)

    def check_built(self, name: str) -> None:
        """Raises UserError unless `name` is an arm with rehearsal and something else, and its comparisons are built."""
        if name not in self.arms:
            raise UserError(f"params.yaml: arms: has no arm {name!r}, only {', '.join(self.arms)}")
        if REHEARSAL not in self.arms[name]["sources"] or len(self.arms[name]["sources"]) < 2:
            raise UserError(f"arms.{name}.sources: needs {REHEARSAL} and another source, whose shares can be changed")
        needed = ["base", name, *([self.report.reference] if self.report.limits.domain_shortfall is not None else [])]
        if stale := [arm for arm in needed if not self.is_built(arm)]:
            raise UserError(
                f"the evaluation of {' and '.join(stale)} is not up to date, and a search starts from it; run"
                " `snakemake --cores all` first (`holdfast plan`: what that costs)"
            )

    def upstream(self, name: str) -> list[str]:
        """The stages that every share of the arm shares, and the arm's own."""
        return needed(self.stages, [f"evaluate-{run}" for run in run_names([name], self.seeds)])

    def experiments(self, name: str, precision: float) -> Iterator[Experiment]:
        """One for each share that may be tried, in their order. Raises UserError where a name is taken."""
        arm = self.arms[name]
        greatest = share_of(arm)
        for share in grid(greatest, precision):
            wanted = arm if share == greatest else arm_at(arm, share)
            own = name if share == greatest else equal_arm(wanted, self.arms)
            if own:
                yield Experiment(share, own, self.arms[own], self.is_built(own))
            elif (new := name_at(name, share)) in self.arms:
                raise UserError(f"arms.{new}: is not {name} with a share of {share:g}; rename it")
            else:
                yield Experiment(share, new, wanted, False)

    def search(self, experiments: list[Experiment], most: int) -> Found:
        """Bisect; at most so many arms are trained."""
        by_share = {one.share: one for one in experiments}

        def keeps(share: float) -> bool | None:
            one = by_share[share]
            if not one.built:
                if self.trained == most:
                    return None
                self.trained += 1
                print(f"\n{one.name}: a share of {share:g}; arm {self.trained} of at most {most}", flush=True)
                self.train(one)
            self.tables[one.name] = self.evaluations([one.name], Path() if one.built else FOLDER)
            trial = self.trials[one.name] = self.judge(one)
            print(outcome(trial), flush=True)
            return trial.keeps

        return least_share(list(by_share), keeps)

    def train(self, one: Experiment) -> None:
        """Build the arm's evaluations. Raises UserError when that fails."""
        write_params(self.values | {"arms": {one.name: one.arm}, "report": {}}, FOLDER)
        targets = [f"data/evaluate/{run}.parquet" for run in run_names([one.name], self.seeds)]
        status = build(targets, FOLDER)
        if status == 130:
            raise SystemExit(130)
        if status:
            raise UserError(f"{one.name} could not be built (in {FOLDER}); what is said above is why")

    def evaluations(self, arms: list[str], folder: Path) -> dict[str, pl.DataFrame]:
        """The graded items of every run of these arms."""
        runs = [run for arm in arms for run in (["base"] if arm == "base" else run_names([arm], self.seeds))]
        return {run: scan_table(folder / f"data/evaluate/{run}.parquet", EVALUATIONS).collect() for run in runs}

    def compared(self, name: str) -> Mapping[str, pl.DataFrame]:
        """The evaluations of the base, of the reference where it is built, and of the arm."""
        reference = self.report.reference
        others = ["base", *([reference] if reference != name and self.is_built(reference) else [])]
        return self.evaluations(others, Path()) | self.tables[name]

    def judge(self, one: Experiment) -> Trial:
        """By the code of the report and of `holdfast check`."""
        figures = summarise(dict(self.compared(one.name)), self.measures, self.report)["arms"][one.name]
        return Trial(one.share, one.name, one.arm, figures, checks(one.name, figures, self.report))

    def sureness(self, one: Experiment) -> float:
        """The one-sided confidence with which the arm keeps all limits."""
        table = side_by_side(dict(self.compared(one.name)), self.measures)
        own = limits(one.name, self.report)
        return min(confidence_of(table, runs_of(table), one.name, limit, self.report) for limit in own)
