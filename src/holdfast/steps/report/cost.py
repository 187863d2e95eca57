"""What each arm cost: training tokens, and the model calls that its rehearsal rows took."""

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import polars as pl

TRAINED = 3.0  # passes of a trained token, one of a token that is read or written


class Calls(NamedTuple):
    """Model calls of all rows of a selection, or of an arm's part of them."""

    samples: float  # of instructions, with the answers inside conversations of several turns
    answers: float
    judgements: float
    tokens: float  # read and written in all of these calls

    def part(self, share: float) -> "Calls":
        return Calls(*(share * figure for figure in self))

    def plus(self, other: "Calls") -> "Calls":
        return Calls(*(one + two for one, two in zip(self, other, strict=True)))


NONE = Calls(0, 0, 0, 0)


class Cost(NamedTuple):
    """Of one arm. Tokens are those of one training run; an arm that is an average has none of its own."""

    training_tokens: float
    calls: Calls
    rehearsal_share: float  # of the mixture's rows; 0 without a mixture
    part_training_tokens: float = 0.0  # of an average, or of an arm that starts from others: those of these arms
    reference_tokens: float = 0.0  # read by the frozen model that preference training compares with, in all of them

    @property
    def token_passes(self) -> float:
        """One figure for both kinds of cost: tokens, each times the passes through the model that it takes.

        A pass forward takes two operations a parameter and token, training six: Kaplan et al. (2020), arXiv 2001.08361,
        section 2.1. All models count alike, whatever their size.
        """
        read = self.reference_tokens + self.calls.tokens
        return TRAINED * (self.training_tokens + self.part_training_tokens) + read

    def figures(self) -> dict[str, Any]:
        """The entry `cost` in metrics/summary.json."""
        numbers = {name: round(number) for name, number in self.calls._asdict().items()}
        return {
            "training_tokens": round(self.training_tokens),
            "part_training_tokens": round(self.part_training_tokens),
            "reference_tokens": round(self.reference_tokens),
            "model_calls": sum(round(number) for number in self.calls[:3]),
            **{"call_tokens" if name == "tokens" else name: number for name, number in numbers.items()},
            "token_passes": round(self.token_passes),
            "rehearsal_share": self.rehearsal_share,
        }


def calls_of(
    samples: pl.LazyFrame, generations: pl.LazyFrame, scores: pl.LazyFrame, selection: Mapping[str, Any]
) -> Calls:
    """The calls behind all rows of a selection: its samples, its models' answers, its judges' scores.

    `samples`, `generations`, `scores`: SAMPLES, GENERATIONS, SCORES, of all models. `selection`: the entry of `filter`.
    Equal requests are one call. Tokens of calls without a count are taken to be the mean of the others.
    """
    models, judges, first = (selection.get(key) for key in ("models", "judges", "samples"))
    answers = generations.filter(
        pl.col("model").is_in(models) if models is not None else pl.lit(True),
        pl.col("sample") < first if first is not None else pl.lit(True),
    )
    judged = scores.join(answers.select("candidate_id"), on="candidate_id", how="semi")
    judged = judged.filter(pl.col("judge").is_in(judges) if judges is not None else pl.lit(True))
    sampled = _calls(samples, pl.when(pl.col("turn") > 1).then(2).otherwise(1))  # a turn, and the answer before it
    answered, scored = _calls(answers, pl.lit(1)), _calls(judged, pl.col("attempts").fill_null(1))
    return Calls(sampled[0], answered[0], scored[0], sampled[1] + answered[1] + scored[1])


def _calls(rows: pl.LazyFrame, weight: pl.Expr) -> tuple[float, float]:
    """(calls, their tokens) of rows, each of which took `weight` calls; rows of one request count once."""
    own = pl.format("row {}", pl.int_range(pl.len()))
    asked = rows.with_columns(calls=weight, key=pl.col("request_key").fill_null(own)).unique("key")
    each = pl.col("prompt_tokens") + pl.col("output_tokens")
    found = asked.select(
        calls=pl.col("calls").sum(), tokens=(each * pl.col("calls")).sum(), known=each.count(), n=pl.len()
    )
    calls, tokens, known, n = found.collect().row(0)
    return float(calls), float(tokens) * n / known if known else 0.0


def cost_of(
    mixture: Mapping[str, Any] | None,
    training_tokens: float | None,
    selections: Mapping[str, str],
    calls: Mapping[str, Calls],
) -> Cost:
    """Of one arm, by its data/mix/<arm>/summary.json; None where it has no mixture.

    `selections`: the selection of each source that draws from one. `calls`: of all rows of each selection. An arm that
    draws half of a selection's rows cost half of its calls.
    """
    if mixture is None:
        return Cost(training_tokens or 0.0, NONE, 0.0)
    rehearsal = sum(part["train_rows"] for part in mixture["sources"] if part["source"] in selections)
    found = _calls_behind(drawn_shares(mixture, selections), calls)
    return Cost(training_tokens or 0.0, found, rehearsal / mixture["train_rows"])


class Behind(NamedTuple):
    """The arms without which another cannot be, and what they used."""

    mixtures: Sequence[Mapping[str, Any]]  # data/mix/<arm>/summary.json of those that have one
    paired: Collection[str] = ()  # selections whose pairs they, or the arm itself, are trained on
    training_tokens: float = 0.0
    reference_tokens: float = 0.0


def later_cost(
    behind: Behind, own: float, reference: float, selections: Mapping[str, str], calls: Mapping[str, Calls]
) -> Cost:
    """Of an arm that is made from others: all that these cost, and its own training and reference tokens.

    Of a selection that several of them draw from, the largest part counts: a smaller draw is a subset of it. Pairs need
    all answers and judgements of their selection.
    """
    drawn = [drawn_shares(mixture, selections) for mixture in behind.mixtures]
    most = {name: max(one.get(name, 0.0) for one in drawn) for one in drawn for name in one}
    most |= dict.fromkeys(behind.paired, 1.0)
    found = _calls_behind(most, calls)
    return Cost(own, found, 0.0, behind.training_tokens, behind.reference_tokens + reference)


def drawn_shares(mixture: Mapping[str, Any], selections: Mapping[str, str]) -> dict[str, float]:
    """The share of each selection's rows that a mixture draws; several sources may draw from one."""
    found: dict[str, float] = {}
    for source in sorted({part["source"] for part in mixture["sources"]} & set(selections)):
        parts = [part for part in mixture["sources"] if part["source"] == source]
        drawn, available = (sum(part[key] for part in parts) for key in ("asked", "available"))
        if available:
            name = selections[source]
            found[name] = found.get(name, 0.0) + min(1.0, drawn / available)
    return found


def _calls_behind(drawn: Mapping[str, float], calls: Mapping[str, Calls]) -> Calls:
    return reduce(Calls.plus, (calls[name].part(share) for name, share in drawn.items()), NONE)
