"""`holdfast tune`: the least share of rehearsal with which an arm keeps the limits of `report.limits`, by bisection.

Each share that is tried is an ordinary arm. Snakemake builds it in `.holdfast/tune`, a checkout that shares the
project's DVC cache and journal: nothing that is built is built again, and no model is asked twice. The project's own
params.yaml, dvc.yaml and dvc.lock are not touched, until `--write` adds the arm that was found to params.yaml.
"""

import argparse
import sys
from typing import Any

from holdfast.build import staleness
from holdfast.build.ownership import Build
from holdfast.build.stages import downstream
from holdfast.cli.check import report_settings
from holdfast.cli.params_edit import add_arm
from holdfast.cli.tune_arms import Arms
from holdfast.cli.tune_search import REHEARSAL, Values, share_of
from holdfast.cli.tune_text import Bound, cost, how_to_use, result
from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.params.sweeps import with_sweeps
from holdfast.params.validation import validate
from holdfast.steps.report.verdict import limits

PRECISION = 0.05


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
    arms = Arms(params, values, report, versions, downstream(versions.stages, changes))
    arms.check_built(name)
    tried = list(arms.experiments(name, precision))
    most = arms.to_train(tried, most)
    bound = Bound(name, tried[0].share, tried[-1].share, precision, most, arms.seeds)
    print("\n".join(cost(bound, params, report, tried[0].name if tried[0].built else None)), flush=True)
    if most and not arguments.yes:
        ask()
    running = Build("holdfast tune")
    try:
        found = arms.search(tried, most)
    finally:
        running.end()
    chosen = next((one for one in tried if one.share == found.keeps), None)
    sure = arms.sureness(chosen) if chosen else None
    print("\n" + result(bound, found, arms.trials, sure, report) + "\n")
    if chosen is None:
        return 1
    if chosen.name in values["arms"]:
        print(f"{chosen.name} is in params.yaml.")
    elif arguments.write:
        add_arm(chosen.name, chosen.arm, f"`holdfast tune --precision {precision:g}` of {name}")
        print(f"params.yaml has the arm {chosen.name} now; `snakemake --cores all` takes its files from DVC's cache.")
    else:
        print(how_to_use(chosen.name, chosen.arm))
    return 0


def with_trained_arms(values: Values) -> Values:
    """The content of params.yaml with the arms of its sweeps among the others, without sweeps and arms without a
    mixture."""
    trained = {name: arm for name, arm in with_sweeps(values)["arms"].items() if "sources" in arm}
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
