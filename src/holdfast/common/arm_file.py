"""The parameter file that has an arm: params.yaml, or the one that is written from its `sweeps`.

Only the standard library is imported at the top, because `envs/job` reads the name.
"""

from pathlib import Path

# `arms`: the arms of sweeps, as they would stand in params.yaml; `curves`: of each sweep its points
SWEPT = "data/workflow/sweeps.yaml"


def file_of(arm: str) -> str:
    """The file in which `arms.<arm>` is: SWEPT for an arm of a sweep, else params.yaml."""
    from holdfast.common.section import PARAMS_FILE, load

    return SWEPT if Path(SWEPT).is_file() and arm in load(SWEPT).get("arms", {}) else PARAMS_FILE
