"""reconstruct: the base model speaks as its own user. Samples, not yet cleaned.

Pre-query sampling is Magpie's (arXiv 2406.08464); as the source of rehearsal data: arXiv 2506.09428, section 3.1.
"""

import datetime
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

from holdfast.errors import UserError
from holdfast.files import scan_table, write_table
from holdfast.fingerprint import read_model
from holdfast.inference import ANSWERS, Request, ask
from holdfast.params.models import Model, Sampling
from holdfast.params.reconstruct import MultiTurn, Reconstruct
from holdfast.params.section import read, value
from holdfast.prequery import later_turn
from holdfast.step import arguments, run
from holdfast.tables import PROMPTS, SAMPLES, row_id, row_seed
from holdfast.template import Message, Refused, Template, eos_ids, load_tokenizer
from holdfast.user_turns import user_turns

_DRAWN = float(2**31)


def requests(prompts: pl.DataFrame, sampling: Sampling, random_seed: int) -> Iterator[Request]:
    """The first user's turns: as many per prompt as its `samples`, each with a seed of its own."""
    for row in prompts.iter_rows(named=True):
        ids, stops = tuple(row["prefix_ids"]), tuple(row["stop_ids"])
        for draw in range(row["samples"]):
            sample_id = row_id("sample", row["prompt_id"], draw)
            seed = row_seed(random_seed, row["prompt_id"], draw)
            yield Request(sample_id, ids, None, seed, sampling, stops, own_logprob=True, stop_text=row["stop_text"])


def first_turns(prompts: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES of one turn each, in the order of `prompts` and draws, from the answers to `requests`."""
    rows = prompts.select(
        "prompt_id",
        draw=pl.int_ranges(pl.col("samples")),
        messages=pl.when(pl.col("system").is_not_null()).then(
            pl.concat_list(pl.struct(role=pl.lit("system"), content="system"))
        ),
    ).explode("draw")
    assert len(rows) == len(answers), "one answer per sample"
    no_messages = pl.lit([], dtype=SAMPLES["messages"])
    return pl.concat([rows, answers.rename({"id": "sample_id"})], how="horizontal").with_columns(
        turn=pl.lit(1, dtype=pl.Int64), messages=pl.col("messages").fill_null(no_messages)
    )[list(SAMPLES)]


class Conversations:
    """Extends samples to conversations: the model's answer, then its user's next turn, round by round.

    A conversation whose answer or next turn does not end within its tokens stays as long as it was.
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
        """How many turns of the user this sample is to have."""
        if row_seed(self.random_seed, "extended", sample_id) / _DRAWN >= self.settings.share:
            return 1
        return 2 + row_seed(self.random_seed, "turns", sample_id) % (self.settings.max_turns - 1)

    def unfinished(self, samples: pl.DataFrame, turn: int) -> list[dict[str, Any]]:
        """Samples that are at `turn` and go on: drawn to, ended well, with nothing of the template inside."""
        here = samples.lazy().filter((pl.col("turn") == turn) & pl.col("error").is_null())
        ended = user_turns(here, self.prompts.lazy()).filter(pl.col("ended") & (pl.col("instruction") != "")).collect()
        going_on = []
        for row in ended.iter_rows(named=True):
            marked = any(mark in row["instruction"] for mark in row["marks"])
            if row["kind"] == "template" and self.turns(row["sample_id"]) > turn and not marked:
                user = {"role": "user", "content": row["instruction"]}
                going_on.append({name: row[name] for name in SAMPLES} | {"messages": [*row["messages"], user]})
        return going_on

    def _template(self, prompt_id: str) -> Template:
        rendering = json.loads(self.by_id[prompt_id]["rendering"])
        date = datetime.date.fromisoformat(rendering["date"])
        return Template(self.tokenizer, rendering["options"], date).fitted()

    def ask_answers(self, rows: list[dict[str, Any]]) -> Iterator[Request]:
        """The model as itself."""
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
        """The model as its user, after the answer."""
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


def extend(samples: pl.DataFrame, conversations: Conversations, name: str, model: Model) -> pl.DataFrame:
    """`samples` with the drawn ones extended to conversations, in the same order; says which could not be, and why."""
    for turn in range(1, conversations.settings.max_turns):
        rows = conversations.unfinished(samples, turn)
        if not rows:
            break
        said = ask(name, model, conversations.ask_answers(rows), len(rows), step="reconstruct").collect()
        good = said.filter((pl.col("finish_reason") == "stop") & (pl.col("text").str.strip_chars() != ""))
        conversations.lost["the answer did not end, or is empty"] += len(said) - len(good)
        answers = dict(good.select("id", "text").iter_rows())
        rows = [
            row | {"messages": [*row["messages"], _said(answers[row["sample_id"]])]}
            for row in rows
            if row["sample_id"] in answers
        ]
        if not rows:
            break
        users = ask(name, model, conversations.ask_users(rows), len(rows), step="reconstruct").collect()
        longer = pl.DataFrame(rows, schema=SAMPLES).drop(*(set(ANSWERS) & set(SAMPLES)))
        ended = users.filter(pl.col("finish_reason") == "stop")
        conversations.lost["the next turn of the user did not end"] += len(users) - len(ended)
        longer = longer.join(ended, left_on="sample_id", right_on="id")
        longer = longer.with_columns(pl.col("turn") + 1)[list(SAMPLES)]
        samples = samples.update(longer, on="sample_id", include_nulls=True)
    for reason, count in (+conversations.lost).most_common():
        print(f"reconstruct: {count} conversations could not be extended: {reason}", flush=True)
    return samples


def _said(text: str) -> Message:
    return {"role": "assistant", "content": text.strip()}


def main() -> None:
    args = arguments(__doc__, "prompts", "samples")
    base = value(args.params, "base")
    model = read_model(args.params, base)
    model = model.model_copy(update={"chat_template": None})  # it speaks as it was aligned: with its own, or none
    random_seed = value(args.params, "random_seed")
    settings = read(args.params, "reconstruct", Reconstruct)
    prompts = scan_table(args.prompts, PROMPTS).sort("prompt_id").collect()
    if settings.multi_turn.share > 0 and "template" not in prompts["kind"]:
        raise UserError(
            "params.yaml: reconstruct.multi_turn.share: a base model without a chat template, which is given examples,"
            " has no conversations; set it to 0"
        )
    total = int(prompts["samples"].sum())
    asking = requests(prompts, settings.sampling, random_seed)
    samples = first_turns(prompts, ask(base, model, asking, total, step="reconstruct", output=args.samples).collect())
    if settings.multi_turn.share > 0:
        trusted = bool(model.engine_args.get("trust_remote_code"))
        tokenizer = load_tokenizer(model.path, model.revision, trust_remote_code=trusted)
        eos = eos_ids(tokenizer, model.path)
        conversations = Conversations(prompts, tokenizer, eos, settings.multi_turn, settings.sampling, random_seed)
        samples = extend(samples, conversations, base, model)
    write_table(samples, args.samples, SAMPLES)
    print(f"reconstruct: {len(samples)} samples", flush=True)


if __name__ == "__main__":
    run(main)
