"""Sweeps: one setting of an arm in several values, each of which is an ordinary arm with a name of its own."""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import Field

from holdfast.common.section import Section
from holdfast.steps.train.params import settings_of_arm

SHARES = ("sources", "merge")  # settings of an arm that are shares of a whole
SWEPT_KEYS = (*SHARES, "budget", "train")
DIGITS = 12  # of shares; what the rounding of floats adds is no other share


class Sweep(Section):
    """One setting of an arm in several values; each value becomes an arm, as if it were written under `arms`."""

    arm: str = Field(description="the arm whose setting is varied; its other settings are kept")
    set: str = Field(
        description="the setting: `sources.<name>` (share of the mixture, from 0 to 1; the other sources keep their"
        " ratio), `merge.<name>`, `budget`, or a number in `train`, such as `train.learning_rate`"
    )
    values: list[float] = Field(min_length=1, description="its values")


def swept(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the `sweeps` in the content of params.yaml stand for; empty without any. Sweeps at fault are left out.

    `arms`: the settings of every arm that a sweep adds, by name. `curves`: of each sweep `arm`, `set` and `points`,
    each with `value` and `arm`. A value with which the arm is like another one adds none: the point is that arm's.
    """
    own, sweeps = values.get("arms"), values.get("sweeps")
    if not isinstance(own, dict) or not isinstance(sweeps, dict):
        return {}
    arms: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for name, sweep in sorted(sweeps.items(), key=lambda item: str(item[0])):
        if not _is_sound(sweep, own):
            continue
        points = []
        for value in sweep["values"]:
            settings = with_setting(own[sweep["arm"]], sweep["set"], value)
            if settings is None:
                continue
            alike = _effective(settings, values)
            same = (known for known, other in {**own, **arms}.items() if _effective(other, values) == alike)
            if (arm := next(same, None)) is None:
                arm = f"{sweep['arm']}_{name}_{value_name(sweep['set'], value)}"
                arms[arm] = settings
            points.append({"value": value, "arm": arm})
        curves[name] = {"arm": sweep["arm"], "set": sweep["set"], "points": points}
    return {"arms": arms, "curves": curves} if curves else {}


def with_sweeps(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of params.yaml with the arms of its sweeps among `arms`."""
    added = swept(values).get("arms", {})
    return {**values, "arms": {**added, **values["arms"]}} if added else dict(values)


def with_setting(settings: Mapping[str, Any], key: str, value: float) -> dict[str, Any] | None:
    """An arm's `settings` with `value` at the dotted `key`; None where the key cannot be there.

    A share of a source is one of the whole mixture: the other sources keep their ratio, and one with share 0 is left
    out.
    """
    found = deepcopy(dict(settings))
    *path, last = key.split(".")
    node: Any = found
    for part in path:
        if not isinstance(node.setdefault(part, {}), dict):
            return None
        node = node[part]
    if path == ["sources"]:
        rest = math.fsum(share for source, share in node.items() if source != last)
        if last not in node or not 0 <= value <= 1 or (not rest and value != 1):
            return None
        shares = {s: value if s == last else round(share * (1 - value) / rest, DIGITS) for s, share in node.items()}
        found["sources"] = {source: share for source, share in shares.items() if share}
    else:
        node[last] = value
    return found


def value_name(key: str, value: float) -> str:
    """A value in the name of an arm: `30_pct` of a share, else `0_002`, `2em5` (2e-05)."""
    if key.partition(".")[0] in SHARES:
        return f"{_word(round(100 * value, DIGITS))}_pct"
    return _word(value)


def _word(value: float) -> str:
    number, _, exponent = f"{value:.6g}".partition("e")
    words = number.replace(".", "_").replace("-", "m")
    return f"{words}e{int(exponent)}".replace("-", "m") if exponent else words


def _is_sound(sweep: Any, own: Mapping[str, Any]) -> bool:
    """Whether a sweep has the form of one; what is wrong with another is said when it is checked."""
    if not isinstance(sweep, dict) or not isinstance(own.get(str(sweep.get("arm"))), dict):
        return False
    values = sweep.get("values")
    numbers = isinstance(values, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return numbers and str(sweep.get("set")).partition(".")[0] in SWEPT_KEYS


def _effective(settings: Any, values: Mapping[str, Any]) -> Any:
    """An arm's settings in a form in which two arms are equal if they give the same model."""
    if not isinstance(settings, dict):
        return settings
    found: dict[str, Any] = dict(settings)
    if isinstance(merge := found.get("merge"), dict) and list(filter(None, merge.values())) == [1]:
        one = values["arms"].get(max(merge, key=merge.__getitem__))
        if isinstance(one, dict) and "merge" not in one:  # an average of one arm is that arm
            return _effective(one, values)
    if isinstance(sources := found.get("sources"), dict) and all(isinstance(s, int | float) for s in sources.values()):
        whole = math.fsum(sources.values()) or 1.0
        found["sources"] = {source: round(share / whole, 9) for source, share in sources.items()}
    if "merge" not in found and isinstance(shared := values.get("train"), dict):
        own = found.get("train") or {}
        found["train"] = settings_of_arm(shared, own) if isinstance(own, dict) else own
    return found
