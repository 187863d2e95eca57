"""The arms that `holdfast tune` tries: which ones there are, how they are built, and whether they keep the limits."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from holdfast.build.stages import makers, needed
from holdfast.build.versions import Versions
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
from holdfast.cli.tune_text import Trial, outcome
from holdfast.cli.workspace import build, check_out, copy_fingerprints, write_params
from holdfast.common.errors import UserError
from holdfast.common.files import scan_table
from holdfast.common.run_names import run_names
from holdfast.common.tables import EVALUATIONS
from holdfast.params.file_checks import named_paths
from holdfast.params.schema import Params
from holdfast.steps.report.params import Report
from holdfast.steps.report.summary import confidence_of, runs_of, side_by_side, summarise
from holdfast.steps.report.verdict import checks, limits

FOLDER = Path(".holdfast/tune")
OF_ARM = ("mix", "arm_recipe", "train", "evaluate")  # steps whose stages belong to one arm


class Experiment(NamedTuple):
    """A share, and the arm that it is: one of params.yaml, or one that is only built here."""

    share: float
    name: str
    arm: Values
    built: bool  # evaluated in the project, and up to date


class Arms:
    """The arms of the project as it was found, and those that are tried."""

    def __init__(self, params: Params, values: Values, report: Report, versions: Versions, due: set[str]) -> None:
        self.params, self.values, self.report = params, values, report
        self.versions, self.stages, self.due = versions, versions.stages, due
        self.arms: dict[str, Values] = values["arms"]
        self.seeds: int = values.get("training_seeds", 1)
        suites = values["evaluate"]["suites"]
        self.measures = {name: suite.get("measures", "general") for name, suite in suites.items()}
        self.trials: dict[str, Trial] = {}  # by the arm's name
        self.tables: dict[str, dict[str, pl.DataFrame]] = {}  # the evaluations of each arm by run

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

    def upstream(self) -> list[str]:
        """The stages that all arms share and an arm needs, as far as they are up to date."""
        own = [f"{step}-{run}" for arm in self.arms for run in (arm, *run_names([arm], self.seeds)) for step in OF_ARM]
        evaluations = [name for name in own if name.startswith("evaluate-") and name in self.stages]
        shared = needed(self.stages, evaluations)
        return [name for name in shared if name not in {*own, *self.due}]

    def own_files(self) -> list[str]:
        """The files that stages read, or params.yaml names, and no stage makes."""
        maker = makers(self.stages)
        read = {dep for stage in self.stages.values() for dep in stage["deps"]}
        return sorted(path for path in read | {path for _, path in named_paths(self.params)} if path not in maker)

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

    def to_train(self, tried: list[Experiment], most: int | None) -> int:
        """How many arms the search trains at most; none where those that are built settle it."""
        least, *inner, greatest = tried
        if not self.judged(greatest).keeps or (least.built and self.judged(least).keeps):
            return 0
        between = min(sum(not one.built for one in inner), most_tried([one.share for one in tried]))
        return min(between + (not least.built), most or len(tried))

    def search(self, experiments: list[Experiment], most: int) -> Found:
        """Bisect; at most so many arms are trained."""
        by_share, trained = {one.share: one for one in experiments}, 0

        def keeps(share: float) -> bool | None:
            nonlocal trained
            one = by_share[share]
            if not one.built:
                if trained == most:
                    return None
                trained += 1
                print(f"\n{one.name}: a share of {share:g}; arm {trained} of at most {most}", flush=True)
                self.train(one, first=trained == 1)
            print(outcome(self.judged(one)), flush=True)
            return self.judged(one).keeps

        return least_share(list(by_share), keeps)

    def train(self, one: Experiment, first: bool) -> None:
        """Build the arm's evaluations; before the first one the checkout. Raises UserError when that fails."""
        if first:
            check_out(FOLDER, self.versions, self.own_files(), self.upstream())
        write_params(self.values | {"arms": {one.name: one.arm}, "report": {}}, FOLDER)
        targets = [f"data/evaluate/{run}.parquet" for run in run_names([one.name], self.seeds)]
        try:
            status = build(targets, FOLDER)
        finally:
            copy_fingerprints(FOLDER, Path())
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

    def judged(self, one: Experiment) -> Trial:
        """By the code of the report and of `holdfast check`; the arm must be evaluated."""
        if one.name not in self.trials:
            self.tables[one.name] = self.evaluations([one.name], Path() if one.built else FOLDER)
            figures = summarise(dict(self.compared(one.name)), self.measures, self.report)["arms"][one.name]
            found = checks(one.name, figures, self.report)
            self.trials[one.name] = Trial(one.share, one.name, one.arm, figures, found)
        return self.trials[one.name]

    def sureness(self, one: Experiment) -> float:
        """The one-sided confidence with which the arm keeps all limits."""
        table = side_by_side(dict(self.compared(one.name)), self.measures)
        own = limits(one.name, self.report)
        return min(confidence_of(table, runs_of(table), one.name, limit, self.report) for limit in own)
