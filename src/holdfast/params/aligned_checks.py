"""Faults in the arms that are trained on preference pairs: what they start from, and their pairs."""

from collections.abc import Iterator

from holdfast.params.names import undefined
from holdfast.params.schema import Params


def aligned_faults(params: Params) -> Iterator[str]:
    """Names that are not defined, circles of arms, and selections without pairs."""
    paired = params.preferences.selections if params.preferences else []
    for name, arm in params.aligned_arms.items():
        key, start, selection = f"arms.{name}.preferences", arm.preferences.arm, arm.preferences.selection
        yield from undefined(f"{key}.arm", [start], params.arms, "arms")
        if circle := circle_through(name, params):
            yield (
                f"{key}.arm: {' starts from '.join([name, *circle])}, so that none of them can be trained; name an arm"
                " with sources"
            )
        if selection not in params.filter:
            yield from undefined(f"{key}.selection", [selection], params.filter, "filter")
        elif selection not in paired:
            yield (
                f"{key}.selection: no pairs are written for {selection}; add `preferences: {{selections:"
                f" [{', '.join([*paired, selection])}]}}`"
            )


def circle_through(arm: str, params: Params) -> list[str]:
    """The arms from which `arm` starts, one from the next, back to itself; empty where it does not."""
    waiting, seen = [[start] for start in starts(arm, params)], set()
    while waiting:
        path = waiting.pop()
        if path[-1] == arm:
            return path
        if path[-1] not in seen:
            seen.add(path[-1])
            waiting += [[*path, start] for start in starts(path[-1], params)]
    return []


def starts(arm: str, params: Params) -> list[str]:
    """The arms whose models an arm is made from."""
    if arm in params.aligned_arms:
        return [params.aligned_arms[arm].preferences.arm]
    return [*params.merged_arms[arm].merge] if arm in params.merged_arms else []
