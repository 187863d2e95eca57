"""The prompts from which the base model is sampled (PROMPTS): one for each slice and system prompt."""

import datetime
import json
import random
from collections.abc import Iterator
from typing import Any

import polars as pl

from holdfast.chat.control_tokens import added_tokens, control_tokens
from holdfast.chat.prequery import Prefix, derive
from holdfast.chat.template import Message, Refused, Template
from holdfast.common.errors import UserError
from holdfast.common.ids import row_id
from holdfast.common.shares import shares
from holdfast.common.tables import PROMPTS
from holdfast.steps.seed import files
from holdfast.steps.seed.params import HandPrefix, Seed, Slice

# a base model continues a list of examples: in-context generation of instances, SSR (arXiv 2403.01244, section 3.1)
_HEAD = "Instructions that people gave to an assistant.\n\n"
_MARK = "### Instruction:\n"


def prefix_by_hand(template: Template, hand: HandPrefix, eos: list[int]) -> Prefix:
    """The prefix in params.yaml (`seed.prefix`). Raises UserError for a stop that is not one token."""
    stops = []
    for stop in hand.stops:
        ids = template.ids(stop)
        if len(ids) != 1:
            raise UserError(
                f"params.yaml: seed.prefix.stops: {stop!r} is {len(ids)} tokens; name a special token,"
                " or use stop_text for plain text"
            )
        stops += ids
    return Prefix(
        prefix_text=hand.text,
        prefix_ids=template.ids(hand.text),
        boundary="",
        suffix_text=(hand.stop_text or "".join(hand.stops[:1])) + hand.assistant,
        stop_ids=list(dict.fromkeys([*stops, *eos])),
        stop_text=hand.stop_text,
        assistant_text=hand.assistant,
        strips=False,
        notes=[],
    )


def prefix_of_examples(template: Template, eos: list[int], shown: list[str]) -> Prefix:
    """A list of example instructions, which a model without a chat template continues."""
    text = _HEAD + "".join(f"{_MARK}{example}\n\n" for example in shown) + _MARK
    return Prefix(
        prefix_text=text,
        prefix_ids=list(template.tokenizer(text)["input_ids"]),  # with BOS, as plain text is trained on
        boundary="",
        suffix_text="\n\n",
        stop_ids=eos,
        stop_text="\n\n###",
        assistant_text="",
        strips=True,
        notes=[],
    )


def template_marks(tokenizer: Any, prefix: Prefix, system: str | None) -> list[str]:
    """Texts that no instruction contains unless the template leaked into it: control tokens, and the opening of the
    assistant's turn."""
    opening = prefix.assistant_text
    for token in added_tokens(tokenizer):
        opening = opening.replace(token, "\n")
    # a word alone, such as "assistant", also occurs in instructions
    plain = [line.strip() for line in opening.split("\n") if not line.strip().isalpha()]
    without_system = prefix.prefix_text.replace((system or "").strip(), "")
    around = without_system + prefix.suffix_text + prefix.assistant_text
    return sorted({*control_tokens(tokenizer, around), *(line for line in plain if len(line) > 2)})


def template_prompts(
    template: Template, eos: list[int], seed: Seed, hand: HandPrefix | None, total: int
) -> Iterator[dict[str, Any]]:
    """One row of PROMPTS, and its prefix's `notes`, per slice and system prompt. Raises Refused as `derive`."""
    for name, count in shares({name: slice_.share for name, slice_ in seed.slices.items()}, total).items():
        slice_ = seed.slices[name]
        settings = slice_.template | ({"tools": found} if (found := files.tools(slice_.tools)) else {})
        dated = Template(template.tokenizer, settings, datetime.date.fromisoformat(seed.date))
        # seed.prefix is the whole prompt, so there are no system prompts
        weights = files.system_prompts(None if hand else slice_.system_prompts or seed.system_prompts)
        texts = {json.dumps(text): text for text in weights}
        for key, samples in shares({k: weights[text] for k, text in texts.items()}, count).items():
            system = texts[key]
            before: list[Message] = [] if system is None else [{"role": "system", "content": system}]
            try:
                prefix = prefix_by_hand(dated, hand, eos) if hand else derive(dated, before, eos)
            except Refused as error:
                prompt = "no system prompt" if system is None else f"the system prompt {system[:60]!r}"
                raise Refused(f"slice {name} with {prompt}: {error}") from error
            rendering = json.dumps({"date": seed.date, "options": settings})  # the keys of tools in the file's order
            marks = template_marks(template.tokenizer, prefix, system)
            yield _row("template", name, slice_, system, samples, prefix, marks, rendering)


def example_prompts(
    template: Template, eos: list[int], seed: Seed, total: int, random_seed: int
) -> Iterator[dict[str, Any]]:
    """As `template_prompts`, per slice and choice of examples, for a base model without a chat template."""
    if seed.examples is None:
        raise UserError(
            "the base model has no chat template: set seed.examples to a JSONL file of example instructions,"
            " or seed.prefix to its pre-query prefix"
        )
    if seed.by_template:
        raise UserError(
            f"params.yaml: {', '.join(seed.by_template)}: no effect on a base model without a chat template, which is"
            " sampled from seed.examples; remove"
        )
    known = files.examples(seed.examples)
    if len(known) < seed.examples_per_prompt:
        raise UserError(
            f"{seed.examples}: {len(known)} examples; seed.examples_per_prompt asks for {seed.examples_per_prompt}"
        )
    for name, count in shares({name: s.share for name, s in seed.slices.items()}, total).items():
        numbers = shares({f"{k:06d}": 1.0 for k in range(seed.example_prompts)}, count)
        for key, samples in numbers.items():
            shown = random.Random(row_id(random_seed, name, key)).sample(known, seed.examples_per_prompt)
            prefix = prefix_of_examples(template, eos, shown)
            found = [*control_tokens(template.tokenizer, ""), _MARK.strip()]
            yield _row("in_context", name, seed.slices[name], None, samples, prefix, sorted(found), "{}")


def _row(
    kind: str,
    name: str,
    slice_: Slice,
    system: str | None,
    samples: int,
    prefix: Prefix,
    found: list[str],
    rendering: str,
) -> dict[str, Any]:
    fields = prefix._asdict()
    del fields["strips"]
    return fields | {
        "prompt_id": row_id("prompt", kind, name, *prefix.prefix_ids),
        "kind": kind,
        "slice": name,
        "language": slice_.language,
        "system": system,
        "samples": samples,
        "marks": found,
        "rendering": rendering,
    }


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """PROMPTS with at least one sample, sorted by id; equal prompts of a slice are one row."""
    frame = pl.DataFrame(rows, schema=PROMPTS)
    summed = frame.group_by("prompt_id").agg(pl.col("samples").sum(), pl.exclude("samples").first())
    return summed.filter(pl.col("samples") > 0).select(list(PROMPTS)).sort("prompt_id")
