"""The least share of rehearsal by bisection: which shares are tried, the arms that they are, and the search itself."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from holdfast.steps.mix.params import Arm

REHEARSAL = "rehearsal"  # the name of the source
DIGITS = 6  # of a share
NEARLY = 2e-6  # two shares that are as near as this are one

Values = dict[str, Any]  # an arm as params.yaml has it


class Found(NamedTuple):
    """Where the limits begin to be kept: neighbouring shares that were tried, the greater one keeps them.

    `misses` None: the least share of all keeps them. `keeps` None: the greatest misses them.
    """

    misses: float | None
    keeps: float | None


def grid(greatest: float, precision: float) -> list[float]:
    """The shares that may be tried: 0, `precision`, twice that …, and the greatest."""
    inner = (round(step * precision, DIGITS) for step in range(1, math.ceil(greatest / precision)))
    return [0.0, *(share for share in inner if share < greatest - NEARLY), greatest]


def most_tried(shares: Sequence[float]) -> int:
    """How many of the shares between the least and the greatest `least_share` tries at most."""
    return math.ceil(math.log2(len(shares) - 1))


def least_share(shares: Sequence[float], keeps: Callable[[float], bool | None]) -> Found:
    """Bisect the ascending `shares` (two or more) for the least one that keeps the limits.

    `keeps` is called once for a share: the greatest, the least, then those between. If it is monotone, no smaller share
    than the one found keeps them. If it is not, the one found still keeps them, and the share below it does not. None
    ends the search where it stands.
    """
    if not keeps(shares[-1]):
        return Found(shares[-1], None)
    if keeps(shares[0]):
        return Found(None, shares[0])
    low, high = 0, len(shares) - 1
    while high - low > 1:
        middle = (low + high) // 2
        found = keeps(shares[middle])
        if found is None:
            break
        low, high = (low, middle) if found else (middle, high)
    return Found(shares[low], shares[high])


def share_of(arm: Values) -> float:
    """The arm's share of rehearsal, of 1."""
    return round(arm["sources"].get(REHEARSAL, 0.0) / math.fsum(arm["sources"].values()), DIGITS)


def arm_at(arm: Values, share: float) -> Values:
    """The arm with this share of rehearsal. Its other sources keep their ratio; without rehearsal they are all."""
    others = {name: weight for name, weight in arm["sources"].items() if name != REHEARSAL}
    whole = math.fsum(others.values())
    rest = {name: round((1 - share) * weight / whole, DIGITS) for name, weight in others.items()}
    sized = {key: value for key, value in arm.items() if share or (key, value) != ("size_from", REHEARSAL)}
    return sized | {"sources": ({REHEARSAL: share} if share else {}) | rest}


def name_at(name: str, share: float) -> str:
    """Of the arm `name` with another share, by its per cent: rehearsed_42, rehearsed_12_5."""
    return f"{name}_{round(100 * share, DIGITS):g}".replace(".", "_")


def same(one: Values, other: Values) -> bool:
    """Whether two arms are one experiment: the same settings, and the same shares up to rounding."""
    arms = [Arm.model_validate(arm) for arm in (one, other)]
    if set(arms[0].sources) != set(arms[1].sources):
        return False
    first, second = (
        {name: share / math.fsum(arm.sources.values()) for name, share in arm.sources.items()} for arm in arms
    )
    rest = [arm.model_dump(exclude={"sources"}) for arm in arms]
    return rest[0] == rest[1] and all(abs(first[name] - second[name]) < 1e-4 for name in first)


def equal_arm(wanted: Values, arms: Mapping[str, Values]) -> str | None:
    """The name of an arm of params.yaml that is the wanted one."""
    return next((name for name, arm in arms.items() if same(arm, wanted)), None)
