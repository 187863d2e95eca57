"""What the figures mean, in words and against the declared limits."""

from typing import Any, NamedTuple

from holdfast.steps.report.params import Limits

Figures = dict[str, Any]


class Check(NamedTuple):
    """One declared limit of one arm, and whether it is met at the report's confidence; `text` says it all."""

    arm: str
    limit: str
    allowed: str
    met: bool
    text: str


def points(share: float, signed: bool = True) -> str:
    """A share as points with one decimal, a minus sign instead of a hyphen, and never a negative zero."""
    text = f"{share * 100:+.1f}" if signed else f"{share * 100:.1f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def count(number: float) -> str:
    """A count, or a mean of counts over seeds with one decimal."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"


def interval(compared: Figures) -> str:
    """The interval that verdicts go by, in points."""
    return f"{points(compared['bound_low'])} to {points(compared['bound_high'])}"


def checks(arm: str, figures: Figures, limits: Limits, reference: str) -> list[Check]:
    """Every limit on `arm` (its entry in the summary). A limit is met when the whole interval keeps it."""
    found = []
    asked = (
        ("general_loss", "base", "general", limits.general_loss, -1),
        ("domain_gain", "base", "domain", limits.domain_gain, 1),
        ("domain_shortfall", reference, "domain", limits.domain_shortfall, -1),
    )
    for name, other, ability, limit, sign in asked:
        if limit is None or arm == other:
            continue
        allowed = f"{'at least' if sign > 0 else 'at most'} {limit:g} points"
        compared = figures["against"].get(other, {}).get(ability)
        if compared is None or compared["difference"] is None:
            found.append(Check(arm, name, allowed, False, f"{name} {allowed}: not met, no {ability} item was measured"))
            continue
        met = compared["bound_low"] >= sign * limit / 100
        change = f"{ability} {points(compared['difference'])} points against {other}, interval {interval(compared)}"
        found.append(Check(arm, name, allowed, met, f"{name} {allowed}: {'met' if met else 'not met'}, {change}"))
    return found


def _general(compared: Figures, limit: float | None) -> tuple[str, str]:
    margin = (limit or 0.0) / 100
    size = f"{points(compared['difference'])} points, {{confidence}} interval {interval(compared)}"
    if compared["bound_low"] >= -margin:
        return "kept", f"kept: general ability within {points(margin, signed=False)} points of the base ({size})"
    if compared["bound_high"] < -margin:
        return "lost", f"forgot: general ability fell by more than {points(margin, signed=False)} points ({size})"
    return (
        "undecided",
        f"not decided: general ability may have fallen by more than {points(margin, signed=False)} points ({size})",
    )


def _domain(compared: Figures, limit: float | None) -> tuple[str, str]:
    margin = (limit or 0.0) / 100
    size = f"{points(compared['difference'])} points, {{confidence}} interval {interval(compared)}"
    more = f" more than {points(margin, signed=False)} points" if margin else ""
    if compared["bound_low"] > margin or (margin and compared["bound_low"] >= margin):
        return "learned", f"learned: the domain{more} ({size})"
    if compared["bound_high"] <= margin:
        return "not learned", f"did not learn: the domain gained no{more or 'thing'} ({size})"
    return "undecided", f"not decided: whether the domain gained{more or ' at all'} ({size})"


def verdict(figures: Figures, limits: Limits, confidence: float) -> Figures:
    """Words for an arm's entry in the summary: `general` (kept, lost, undecided), `domain` (learned, not learned,
    undecided) and `text`, the sentences."""
    against = figures["against"]["base"]
    sure = f"{confidence * 100:g} %"
    found: Figures = {}
    sentences = []
    for ability, say, limit in (("general", _general, limits.general_loss), ("domain", _domain, limits.domain_gain)):
        compared = against.get(ability)
        if compared is None or compared["difference"] is None:
            found[ability] = "not measured"
            sentences.append(f"not measured: {ability} ability")
            continue
        found[ability], sentence = say(compared, limit)
        changed = (
            f"{count(compared['learned'])} items learned, {count(compared['forgotten'])} forgotten of {compared['n']:,}"
        )
        sentences.append(f"{sentence.format(confidence=sure)}; {changed}")
    return found | {"text": sentences}
