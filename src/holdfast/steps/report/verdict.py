"""Verdicts in words, and the check of the limits in `report.limits`."""

from typing import Any, NamedTuple

from holdfast.steps.report.params import Report

Figures = dict[str, Any]


class Check(NamedTuple):
    """One declared limit of one arm, and whether it is met at the report's confidence; `text` says it in full."""

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


def counted(number: float, noun: str) -> str:
    """A count with its noun, plural unless it is 1."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def change(compared: Figures, confidence: float) -> str:
    """The change of a comparison with the interval that verdicts go by."""
    bounds = f"{points(compared['bound_low'])} to {points(compared['bound_high'])}"
    return f"{points(compared['difference'])} points, {confidence * 100:g} % interval {bounds}"


def average_name(average: str, suites: int | None = None) -> str:
    """What `report.average` means, with the number of suites if it is given."""
    if average == "items":
        return "mean over items"
    return f"mean over {suites} suites" if suites else "mean over suites"


def ability_name(ability: str, compared: Figures, average: str) -> str:
    """ "general accuracy", and how it is averaged where several suites measure it."""
    suites = compared["suite_count"]
    return f"{ability} accuracy" + (f" ({average_name(average, suites)})" if suites > 1 else "")


def ungraded(compared: Figures, other: str) -> str:
    """How many items of a comparison are not graded as a text; empty for none."""
    if not compared["ungraded"]:
        return ""
    total = compared["n"] + compared["ungraded"]
    sides = f"{compared['ungraded_before']:,} of {other}, {compared['ungraded_after']:,} of this arm"
    return (
        f"{compared['ungraded']:,} of {counted(total, 'item')} not graded ({sides}): the interval holds whatever their"
        " grades are"
    )


class Limit(NamedTuple):
    """One entry of `report.limits` that holds for an arm."""

    name: str
    other: str  # what the arm is compared with
    ability: str
    least: float  # the least change of accuracy that keeps it, a share
    allowed: str  # the same in words


def limits(arm: str, report: Report) -> list[Limit]:
    """The limits on `arm`; the reference arm has none against itself."""
    asked = (
        ("general_loss", "base", "general", report.limits.general_loss, -1),
        ("domain_gain", "base", "domain", report.limits.domain_gain, 1),
        ("domain_shortfall", report.reference, "domain", report.limits.domain_shortfall, -1),
    )
    return [
        Limit(
            name,
            other,
            ability,
            sign * limit / 100,
            f"{'at least' if sign > 0 else 'at most'} {counted(limit, 'point')}",
        )
        for name, other, ability, limit, sign in asked
        if limit is not None and arm != other
    ]


def checks(arm: str, figures: Figures, report: Report) -> list[Check]:
    """Every limit on `arm` (its entry in the summary). A limit is met when the whole interval keeps it."""
    found = []
    for name, other, ability, least, allowed in limits(arm, report):
        compared = figures["against"].get(other, {}).get(ability)
        if compared is None or compared["difference"] is None:
            reason = _unmeasured(compared, other)
            text = f"{name} {allowed}: not met; {ability} accuracy was not measured: {reason}"
            found.append(Check(arm, name, allowed, False, text))
            continue
        met = compared["bound_low"] >= least
        outcome = (
            f"{ability_name(ability, compared, report.average)} against {other} {change(compared, report.confidence)}"
        )
        outcome = "; ".join([f"{'met' if met else 'not met'}; {outcome}", *filter(None, [ungraded(compared, other)])])
        found.append(Check(arm, name, allowed, met, f"{name} {allowed}: {outcome}"))
    return found


def _unmeasured(compared: Figures | None, other: str) -> str:
    if compared is None:
        return "no suite measures it"
    return f"there is a suite without an item that is graded for both {other} and this arm"


def _general(compared: Figures, limit: float | None) -> tuple[str, str]:
    loss = (limit or 0.0) / 100
    allowed = f"by more than {points(loss, signed=False)} points" if loss else "at all"
    if compared["bound_low"] >= -loss:
        return "kept", f"kept: {{what}} did not fall {allowed}"
    if compared["bound_high"] < -loss:
        return "lost", f"lost: {{what}} fell{f' {allowed}' if loss else ''}"
    return "undecided", f"undecided: {{what}} may have fallen {allowed}"


def _domain(compared: Figures, limit: float | None) -> tuple[str, str]:
    gain = (limit or 0.0) / 100
    wanted = f" by {points(gain, signed=False)} points or more" if gain else ""
    if compared["bound_low"] > gain or (gain and compared["bound_low"] >= gain):
        return "learned", f"learned: {{what}} rose{wanted}"
    if compared["bound_high"] <= gain:
        return "not learned", f"not learned: {{what}} did not rise{wanted}"
    return "undecided", f"undecided: {{what}} may or may not have risen{wanted}"


def verdict(figures: Figures, report: Report) -> Figures:
    """Words for an arm's entry in the summary: `general` (kept, lost, undecided), `domain` (learned, not learned,
    undecided) and `text`, the sentences."""
    against, limits = figures["against"]["base"], report.limits
    found: Figures = {}
    sentences = []
    for ability, say, limit in (("general", _general, limits.general_loss), ("domain", _domain, limits.domain_gain)):
        compared = against.get(ability)
        if compared is None or compared["difference"] is None:
            found[ability] = "not measured"
            sentences.append(f"not measured: {ability} accuracy; {_unmeasured(compared, 'the base')}")
            continue
        found[ability], sentence = say(compared, limit)
        parts = [f"{sentence.format(what=ability_name(ability, compared, report.average))}"]
        parts[0] += f" ({change(compared, report.confidence)})"
        changed = f"{count(compared['learned'])} learned and {count(compared['forgotten'])} forgotten"
        parts.append(f"{changed} of {counted(compared['n'], 'item')}")
        sentences.append("; ".join([*parts, *filter(None, [ungraded(compared, "the base")])]))
    return found | {"text": sentences}


def frontier_in_words(found: Figures, confidence: float) -> list[str]:
    """The result of `frontier` as sentences, without full stops. `abilities` in it: those that every arm has."""
    if missing := {"general", "domain"} - set(found["abilities"]):
        return [f"There is no frontier: {' and '.join(sorted(missing))} accuracy is not measured for every arm"]
    text = [f"On the frontier: {', '.join(found['arms'])}"]
    for arm, beaten in found["dominated"].items():
        better = " and ".join(
            f"{points(d['difference'], signed=False)} points in {a} accuracy" for a, d in beaten["better_in"].items()
        )
        text.append(f"Not on it: {arm}, because {beaten['by']} is better by {better}, and worse in nothing")
    for arm, others in found["not_significant"].items():
        text.append(
            f"{arm} stays on it although {' and '.join(others)} {'is' if len(others) == 1 else 'are'} better by the"
            f" estimates: the difference is not significant at {confidence * 100:g} %"
        )
    return text
