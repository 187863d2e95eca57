"""Faults in sweeps, and in the arms that they stand for."""

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.params.names import nearest
from holdfast.params.sweeps import SHARES, SWEPT_KEYS, value_name


def sweep_faults(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, fault) of each fault of a sweep that is valid by the schema."""
    own = values["arms"]
    for name, sweep in (values.get("sweeps") or {}).items():
        where, arm, key = f"sweeps.{name}", sweep["arm"], sweep["set"]
        if arm not in own:
            yield f"{where}.arm", f"{arm} is not defined in arms{nearest(arm, own)}"
            continue
        head, _, rest = key.partition(".")
        known = own[arm].get(head, {})
        if head not in SWEPT_KEYS or (head == "budget") == bool(rest):
            yield f"{where}.set", f"{key} cannot be swept; use sources.NAME, merge.NAME, budget or train.KEY"
        elif head in SHARES and rest not in known:
            yield f"{where}.set", f"arms.{arm}.{head} has no {rest}{nearest(rest, known)}"
        elif head == "sources" and len(known) == 1:
            yield f"{where}.set", f"arms.{arm} has one source only; there is no share to vary"
        for number, value in enumerate(sweep["values"]):
            if head in SHARES and not 0 <= value <= 1:
                yield f"{where}.values.{number}", f"{value:g} is no share; it must be from 0 to 1"
            elif sweep["values"].count(value) > 1:
                yield f"{where}.values.{number}", f"{value:g} is there more than once; remove one"
            elif (new := f"{arm}_{name}_{value_name(key, value)}") in own:
                yield f"{where}", f"the arm of its value {value:g} would be called {new}, like another arm; rename one"


def place(fault: str, found: Mapping[str, Any]) -> str:
    """A fault whose key is that of an arm of a sweep, with the sweep and its value instead. `found`: of `swept`."""
    for name, curve in found.get("curves", {}).items():
        for value, arm in ((point["value"], point["arm"]) for point in curve["points"]):
            head, rest = f"arms.{arm}", fault.removeprefix(f"arms.{arm}")
            if arm in found["arms"] and fault.startswith(head) and rest[:1] in ("", ".", ":"):
                return f"sweeps.{name}.values: {value:g} (arm {arm}): {rest.lstrip('.: ')}"
    return fault
