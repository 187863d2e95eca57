"""The recommendation: the cheapest arm that keeps every limit of `report.limits`, or what to try where none does."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from holdfast.steps.report.params import Report
from holdfast.steps.report.statistics import t_quantile
from holdfast.steps.report.verdict import Limit, limits, points

Figures = dict[str, Any]
MOST_TIMES = 10.0  # as many items: a suite is not made larger than that, an estimate so near its limit counts as missed
MOST_REHEARSAL = 0.9  # a larger share than that is not recommended


class Outcome(NamedTuple):
    """One limit of one arm.

    `state`: met; `items`, `seeds` or `ungraded` where the estimate keeps it and the interval does not, for this reason;
    missed; not measured. An estimate that is hardly on the right side of its limit counts as missed.
    """

    limit: Limit
    state: str
    estimate: float | None  # change of accuracy, a share
    items: int = 0
    items_needed: int = 0  # for an interval of the same arm that keeps the limit

    @property
    def near(self) -> bool:
        """Whether the limit is met, or would be with an interval that is narrower."""
        return self.state in ("met", "items", "seeds", "ungraded")


class Candidate(NamedTuple):
    """An arm, as the recommendation sees it."""

    name: str
    outcomes: Sequence[Outcome]
    token_passes: float  # its cost
    rehearsal_share: float
    general: float | None  # change of general accuracy against the base, a share
    domain: float | None
    seeds: int

    @property
    def met(self) -> bool:
        return all(one.state == "met" for one in self.outcomes)

    def near(self, ability: str) -> bool:
        return all(one.near for one in self.outcomes if one.limit.ability == ability)


def outcome(limit: Limit, compared: Figures | None, confidence: float) -> Outcome:
    """How an arm stands to a limit, by its comparison (`compare`)."""
    if compared is None or compared["difference"] is None:
        return Outcome(limit, "not measured", None)
    estimate, least, n = compared["difference"], limit.least, compared["n"]
    if compared["bound_low"] >= least:
        return Outcome(limit, "met", estimate, n)
    ungraded = compared["ungraded"]
    if ungraded and compared["bound_low"] + ungraded / (n + ungraded) >= least:
        return Outcome(limit, "ungraded", estimate, n)
    slack, width = estimate - least, estimate - compared["bound_low"]
    times = (width / slack) ** 2 if slack > 0 else math.inf  # the width of an interval goes with the root of the items
    if times > MOST_TIMES:
        return Outcome(limit, "missed", estimate, n)
    by_seeds = compared["seeds"] > 1 and 2 * _seed_width(compared, confidence) ** 2 > width**2
    return Outcome(limit, "seeds" if by_seeds else "items", estimate, n, 0 if by_seeds else math.ceil(n * times))


def _seed_width(compared: Figures, confidence: float) -> float:
    """What training seeds add to the lower half of an interval (`change_bounds`), before both parts are joined."""
    seeds = compared["seeds"]
    return t_quantile(confidence, seeds - 1) * (compared["seed_sd"] or 0.0) / seeds**0.5  # type: ignore[no-any-return]


def candidate(name: str, figures: Figures, report: Report) -> Candidate:
    """An arm by its entry in the summary, with its `cost`."""
    against = figures["against"]
    outcomes = [
        outcome(limit, against.get(limit.other, {}).get(limit.ability), report.confidence)
        for limit in limits(name, report)
    ]
    general, domain = (against["base"].get(ability, {}).get("difference") for ability in ("general", "domain"))
    passes, share = (figures["cost"][key] for key in ("token_passes", "rehearsal_share"))
    return Candidate(name, outcomes, passes, share, general, domain, figures["seeds"])


def recommend(candidates: Sequence[Candidate], confidences: Mapping[str, float], report: Report) -> Figures:
    """The cheapest candidate that meets every limit; of equally cheap ones the one that keeps most general accuracy.

    `confidences`: of each arm that meets them, the one-sided confidence with which it does (`confidence_above`): the
    least over its limits, since all are met exactly if each is (intersection-union test: Berger 1982, Technometrics 24,
    295-300). An arm that is picked among several is less sure than one that was named before: `confidence_of_choice`
    divides the risk by Bonferroni.

    `arm`: None where no arm meets them. `next`: what to try. `text`: all of it as sentences.
    """
    if not any(one.outcomes for one in candidates):
        text = ["Nothing is recommended, because report.limits sets no limit"]
        return {"arm": None, "confidence": None, "confidence_of_choice": None, "next": [], "text": text}
    ranked = sorted(candidates, key=lambda one: (one.token_passes, -(one.general or 0.0), one.name))
    good = [one for one in ranked if one.met]
    allowed = sorted({f"{o.limit.name} {o.limit.allowed}" for one in candidates for o in one.outcomes}, reverse=True)
    if not good:
        steps = next_steps(ranked, report)
        text = [f"No arm keeps every limit ({', '.join(allowed)})", *steps]
        return {"arm": None, "confidence": None, "confidence_of_choice": None, "next": steps, "text": text}
    best = good[0]
    sure = confidences[best.name]
    of_choice = max(0.0, 1 - len(candidates) * (1 - sure))
    steps = _cheaper(best, candidates)
    return {
        "arm": best.name,
        "confidence": sure,
        "confidence_of_choice": of_choice,
        "next": steps,
        "text": [
            f"{best.name}: {'the only arm' if len(good) == 1 else f'the cheapest of {len(good)} arms'} that"
            f" keep{'s' if len(good) == 1 else ''} every limit ({', '.join(allowed)})",
            *_sureness(best, sure, of_choice, len(candidates)),
            *[why_not(one, best) for one in ranked[: ranked.index(best)]],
            *steps,
        ],
    }


def _cheaper(best: Candidate, candidates: Sequence[Candidate]) -> list[str]:
    """What to try after an arm that meets every limit, unless several shares of rehearsal have been tried."""
    shares = {round(one.rehearsal_share, 2) for one in candidates} - {0.0}
    if not 0 < best.rehearsal_share < 1 or len(shares) > 1:
        return []
    return [f"A smaller share of rehearsal may keep them too: `holdfast tune {best.name}` finds the least that does"]


def _sureness(best: Candidate, sure: float, of_choice: float, tried: int) -> list[str]:
    text = f"Its confidence of keeping them is {percent(sure)}"
    if tried > 1:
        text += f" by itself, and {percent(of_choice)} if one allows for the choice among {tried} arms"
    training = (
        "Another training run may come out differently: training_seeds: 3 measures that"
        if best.seeds == 1
        else f"Other items and other training runs than these {best.seeds} are allowed for"
    )
    return [text, training]


def percent(share: float) -> str:
    """A confidence in per cent, never rounded up to certainty."""
    return "more than 99.9 %" if share > 0.999 else f"{math.floor(share * 1000) / 10:.1f} %"


def why_not(one: Candidate, best: Candidate) -> str:
    """Why an arm that is cheaper than the best, or as cheap, is not recommended."""
    said = [
        f"{o.limit.name} is not measured"
        if o.estimate is None
        else f"{o.limit.name} is {'missed' if o.estimate < o.limit.least else 'unsure'} ({points(o.estimate)} points)"
        for o in one.outcomes
        if o.state != "met"
    ]
    cheap = "cheaper" if one.token_passes < best.token_passes else "as cheap"
    return f"{one.name} is {cheap}, but {', '.join(said)}"


def next_steps(ranked: Sequence[Candidate], report: Report) -> list[str]:
    """What to try where no arm meets every limit, by which limit fails and whether the interval or the estimate is why.

    `ranked`: all arms, the cheapest first.
    """
    if missing := sorted({o.limit.ability for one in ranked for o in one.outcomes if o.state == "not measured"}):
        return [
            f"{' and '.join(missing)} accuracy is not measured: add a suite with `measures: {missing[0]}` whose items"
            " are graded for the base and for every arm"
        ]
    keep = [one for one in ranked if one.near("general")]
    learn = [one for one in ranked if one.near("domain")]
    if both := [one for one in keep if one in learn]:
        return [_narrow(both[0], o) for o in both[0].outcomes if o.state != "met"]
    if keep and learn:
        kept, learned = max(keep, key=lambda o: o.domain or 0.0), max(learn, key=lambda o: o.general or 0.0)
        return [
            f"{kept.name} keeps general accuracy and learns too little, {learned.name} learns the domain and forgets"
            " too much: try what lies between (a share of rehearsal: `holdfast tune`; or the mean of"
            f" their weights: arms.<name>.merge: {{{kept.name}: 0.5, {learned.name}: 0.5}})"
        ]
    return [*([] if keep else _keep_more(ranked)), *([] if learn else _learn_more(ranked))]


def _narrow(one: Candidate, found: Outcome) -> str:
    estimate = (
        f"{one.name} keeps {found.limit.name} by its estimate ({points(found.estimate or 0.0)} points), not by its"
    )
    if found.state == "ungraded":
        return (
            f"{estimate} interval, because items are not graded: have the failed requests answered, and evaluate again"
        )
    if found.state == "seeds":
        return (
            f"{estimate} interval, which is wide because training runs differ: raise training_seeds above {one.seeds}"
        )
    return (
        f"{estimate} interval: the {found.limit.ability} suites have too few items; about {found.items_needed:,} rather"
        f" than {found.items:,} would do"
    )


def _keep_more(ranked: Sequence[Candidate]) -> list[str]:
    most = max(ranked, key=lambda one: one.rehearsal_share)
    steps = ["Every arm forgets too much, or comes too close to the limit"]
    if most.rehearsal_share == 0:
        steps.append("try an arm with rehearsal: sources: {rehearsal: 0.83, domain: 0.17}")
    elif most.rehearsal_share < MOST_REHEARSAL:
        steps.append(f"try more rehearsal than the {most.rehearsal_share:.0%} of {most.name}".replace("%", " %"))
    steps.append("a lower learning rate, or fewer passes over the domain rows (arms.<name>.train)")
    return [
        ": ".join(steps[:2]) + (f"; {steps[2]}" if len(steps) > 2 else ""),
        f"Or average an arm's weights with the base's (arms.<name>.merge: {{{most.name}: 0.5}})",
    ]


def _learn_more(ranked: Sequence[Candidate]) -> list[str]:
    best = max(ranked, key=lambda one: one.domain or 0.0)
    return [
        f"Every arm learns too little of the domain; the most is {points(best.domain or 0.0)} points ({best.name}):"
        " train for more passes over the domain rows (train.budget: {domain_epochs: N}), or give it a larger share"
    ]
