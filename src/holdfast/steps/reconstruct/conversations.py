"""Samples extended to conversations of several turns."""

import datetime
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl

from holdfast.chat.answer_text import answer_frame, split_by_frame
from holdfast.chat.control_tokens import first_control_token, message_control_tokens
from holdfast.chat.prequery import later_turn
from holdfast.chat.template import Refused, Template
from holdfast.chat.user_turns import user_turns
from holdfast.common.ids import row_seed
from holdfast.common.tables import SAMPLES
from holdfast.common.wording import counted
from holdfast.inference.ask import ANSWERS, Request, ask
from holdfast.inference.failures import Failures
from holdfast.inference.params import Model, Sampling
from holdfast.steps.reconstruct.params import MultiTurn


class Conversations:
    """Extends samples to conversations: the base model's answer, then the user's next turn, and so on.

    A conversation whose answer or next turn does not end within `max_tokens` is not extended.
    """

    def __init__(
        self,
        prompts: pl.DataFrame,
        tokenizer: Any,
        eos: list[int],
        settings: MultiTurn,
        sampling: Sampling,
        random_seed: int,
    ) -> None:
        self.prompts = prompts
        self.by_id = {row["prompt_id"]: row for row in prompts.iter_rows(named=True)}
        self.tokenizer, self.eos = tokenizer, eos
        self.settings, self.sampling, self.random_seed = settings, sampling, random_seed
        self.lost: Counter[str] = Counter()  # conversations that could not be extended, by reason

    def turns(self, sample_id: str) -> int:
        """How many user turns this sample gets."""
        if row_seed(self.random_seed, "extended", sample_id) / 2**31 >= self.settings.share:
            return 1
        return 2 + row_seed(self.random_seed, "turns", sample_id) % (self.settings.max_turns - 1)

    def unfinished(self, samples: pl.DataFrame, turn: int) -> list[dict[str, Any]]:
        """Samples with `turn` user turns that get another one: chosen for it, finished, and without template text."""
        here = samples.lazy().filter((pl.col("turn") == turn) & pl.col("error").is_null())
        ended = user_turns(here, self.prompts.lazy()).filter(pl.col("ended") & (pl.col("instruction") != "")).collect()
        continued = []
        for row in ended.iter_rows(named=True):
            marked = any(mark in row["instruction"] for mark in row["marks"])
            if row["kind"] == "template" and self.turns(row["sample_id"]) > turn and not marked:
                user = {"role": "user", "content": row["instruction"]}
                continued.append({name: row[name] for name in SAMPLES} | {"messages": [*row["messages"], user]})
        return continued

    def _template(self, prompt_id: str) -> Template:
        rendering = json.loads(self.by_id[prompt_id]["rendering"])
        date = datetime.date.fromisoformat(rendering["date"])
        return Template(self.tokenizer, rendering["options"], date).fitted()

    def answers_only(self, replies: pl.DataFrame, rows: list[dict[str, Any]]) -> dict[str, str]:
        """The usable answers by sample_id, without the text that the template puts around them."""
        asked = pl.DataFrame([(row["sample_id"], row["prompt_id"]) for row in rows], ["id", "prompt_id"], orient="row")
        ended = replies.filter(pl.col("finish_reason") == "stop").join(asked, on="id")
        frames = [(name, *answer_frame(self._template(name))) for name in ended["prompt_id"].unique().to_list()]
        schema = dict.fromkeys(("prompt_id", "before", "after", "end"), pl.String)
        framed = ended.join(pl.DataFrame(frames, schema, orient="row"), on="prompt_id")
        found = framed.with_columns(**split_by_frame(pl.col("before"), pl.col("after"))).select(
            "id", pl.col("text").str.strip_chars_end()
        )
        tokens = message_control_tokens(Template(self.tokenizer))
        plain = found.filter((pl.col("text") != "") & first_control_token(pl.col("text"), tokens).is_null())
        self.lost["the answer did not end, is empty or contains a control token"] += len(replies) - len(plain)
        return dict(plain.iter_rows())

    def ask_answers(self, rows: list[dict[str, Any]]) -> Iterator[Request]:
        """Requests for the assistant's answers to the last turn of each row."""
        for row in rows:
            try:
                template = self._template(row["prompt_id"])
                ids = template.ids(template.text(row["messages"], opening=True))
            except Refused as error:
                self.lost[str(error)] += 1
                continue
            seed = row_seed(self.random_seed, "answer", row["turn"], row["sample_id"])
            yield Request(row["sample_id"], tuple(ids), None, seed, self.settings.answer, tuple(self.eos))

    def ask_users(self, rows: list[dict[str, Any]]) -> Iterator[Request]:
        """Requests for the user's next turn, after the answer."""
        for row in rows:
            try:
                ids = later_turn(self._template(row["prompt_id"]), row["messages"])
            except Refused as error:
                self.lost[str(error)] += 1
                continue
            seed = row_seed(self.random_seed, "user", row["turn"], row["sample_id"])
            prompt = self.by_id[row["prompt_id"]]
            stops, text = tuple(prompt["stop_ids"]), prompt["stop_text"]
            yield Request(
                row["sample_id"], tuple(ids), None, seed, self.sampling, stops, own_logprob=True, stop_text=text
            )


def extend(
    samples: pl.DataFrame,
    conversations: Conversations,
    name: str,
    model: Model,
    failures: Failures,
    sharded: bool = False,
) -> pl.DataFrame:
    """`samples` with the chosen ones extended to conversations, in the same order; prints why others could not be."""
    asking = partial(ask, name, model, step="reconstruct", failures=failures, sharded=sharded)
    for turn in range(1, conversations.settings.max_turns):
        rows = conversations.unfinished(samples, turn)
        if not rows:
            break
        replies = asking(requests=conversations.ask_answers(rows), total=len(rows)).collect()
        answers = conversations.answers_only(replies, rows)
        rows = [
            row | {"messages": [*row["messages"], {"role": "assistant", "content": answers[row["sample_id"]]}]}
            for row in rows
            if row["sample_id"] in answers
        ]
        if not rows:
            break
        users = asking(requests=conversations.ask_users(rows), total=len(rows)).collect()
        longer = pl.DataFrame(rows, schema=SAMPLES).drop(*(set(ANSWERS) & set(SAMPLES)))
        ended = users.filter(pl.col("finish_reason") == "stop")
        conversations.lost["the next turn of the user did not end"] += len(users) - len(ended)
        longer = longer.join(ended, left_on="sample_id", right_on="id")
        longer = longer.with_columns(pl.col("turn") + 1)[list(SAMPLES)]
        samples = samples.update(longer, on="sample_id", include_nulls=True)
    for reason, count in (+conversations.lost).most_common():
        print(f"reconstruct: {counted(count, 'conversation')} could not be extended: {reason}", flush=True)
    return samples
