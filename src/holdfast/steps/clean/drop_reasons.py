"""Which samples are instructions: a reason for every rejected one, and one row for equal ones."""

import re

import polars as pl

from holdfast.chat.user_turns import earlier_turns
from holdfast.common.ids import row_id
from holdfast.common.tables import INSTRUCTIONS, REJECTED_INSTRUCTIONS
from holdfast.steps.clean.params import Clean
from holdfast.steps.clean.repetition import repeated_share
from holdfast.text.language import asks_in_another, languages

# control tokens of common model families, for a model that writes them as plain text
_CONTROL = r"<\|[^|<>\s]{1,40}\|?>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>"

_ASSISTANT = (
    r"(?i)^(?:(?:assistant|ai|bot|system)\s*:|(?:assistant|system)\s*\n"
    r"|as an ai (?:language )?model\b|(?:sure|certainly|of course)[,!] (?:here|i\b|i'd|i'll|let)"
    r"|i'm sorry, (?:but )?i (?:can|am)|i cannot (?:assist|help|fulfill) )"
    r"|\n(?:user|human)\s*:.*\n(?:assistant|ai|bot)\s*:"
)


def reasons(turns: pl.DataFrame, clean: Clean) -> pl.DataFrame:
    """`turns` (of `chat.user_turns`) with `detected` (the text's language or "und"), and `reason` and `detail` of its
    first fault, null where the row is an instruction. A fault of an earlier user turn counts for the conversation.

    Reasons: engine_error, truncated, empty, template_leak, wrong_role, too_short, too_long, repetition, wrong_language.
    """
    judged = _judged(turns, clean)
    before = earlier_turns(turns)
    if before.is_empty():
        return judged
    faults = (
        _judged(before.with_columns(ended=True), clean)  # else there would be no turn after it
        .filter(pl.col("reason").is_not_null())
        .sort("turn")
        .group_by("sample_id")
        .agg(earlier=pl.first("reason"), place=pl.format("turn {}: {}", "turn", pl.col("detail").fill_null("")).first())
    )
    return (
        judged.join(faults, on="sample_id", how="left", maintain_order="left")
        .with_columns(
            reason=pl.coalesce("reason", "earlier"),
            detail=pl.when(pl.col("reason").is_null()).then("place").otherwise("detail"),
        )
        .drop("earlier", "place")
    )


def _judged(turns: pl.DataFrame, clean: Clean) -> pl.DataFrame:
    """`turns` with `detected`, `reason` and `detail`, from the last user turn alone."""
    text = pl.col("instruction")
    mark = _first_mark(turns)
    length = text.str.len_chars()
    share = pl.col("repeated")
    faults = [
        ("engine_error", pl.col("error").is_not_null(), pl.col("error")),
        ("truncated", ~pl.col("ended"), pl.format("{} tokens without an end", "output_tokens")),
        ("empty", text == "", pl.lit(None, dtype=pl.String)),
        ("template_leak", pl.col("mark").is_not_null(), pl.col("mark")),
        ("wrong_role", text.str.contains(_ASSISTANT), text.str.extract(f"({_ASSISTANT})").str.strip_chars()),
        ("too_short", length < clean.min_characters, pl.format("{} characters", length)),
        ("too_long", length > clean.max_characters, pl.format("{} characters", length)),
        (
            "repetition",
            share > clean.max_repeated_share,
            pl.format("{} % of the text", (share * 100).round().cast(pl.Int64)),
        ),
        ("wrong_language", pl.col("wrong_language"), pl.col("detected")),
    ]
    fault = pl.coalesce(
        pl.when(wrong).then(pl.struct(reason=pl.lit(reason), detail=detail)) for reason, wrong, detail in faults
    )
    repeated = pl.Series(repeated_share(turns["instruction"]))
    detected = languages(turns["instruction"]).fill_null("und")
    wrong_language = _in_wrong_language(turns["instruction"], detected, turns["wanted"])
    return (
        turns.with_columns(mark=mark, detected=detected, repeated=repeated, wrong_language=wrong_language)
        .with_columns(fault=fault)
        .with_columns(pl.col("fault").struct.unnest())
        .drop("fault", "mark", "repeated", "wrong_language")
    )


def _in_wrong_language(texts: pl.Series, detected: pl.Series, wanted: pl.Series) -> pl.Series:
    """Which texts ask in another language than `wanted`. The slow check is for texts of another detected language
    only."""
    rows = ((detected != "und") & (detected != wanted)).fill_null(False).arg_true()
    asks = [asks_in_another(texts[row], wanted[row]) for row in rows]
    return pl.repeat(False, len(texts), eager=True).scatter(rows, pl.Series(asks, dtype=pl.Boolean))


def _first_mark(turns: pl.DataFrame) -> pl.Series:
    """The first piece of template text in each instruction, or null."""
    pieces = [pl.Series("mark", [], dtype=pl.String)]
    rows = []
    for (marks,), some in turns.with_row_index("row").group_by(pl.col("marks").list.join("\0"), maintain_order=True):
        known = sorted(filter(None, str(marks).split("\0")), key=lambda mark: (-len(mark), mark))
        pattern = "|".join([*map(_escape, known), _CONTROL])
        pieces.append(some["instruction"].str.extract(f"({pattern})").alias("mark"))
        rows.append(some["row"])
    if not rows:
        return pieces[0]
    return pl.concat(pieces).gather(pl.concat(rows).arg_sort())


def _escape(text: str) -> str:
    """`re.escape` for Rust's regular expressions, in which a newline must not be escaped."""
    return re.escape(text).replace("\\\n", "\\n")


def collapse(turns: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """INSTRUCTIONS, with each distinct conversation once and the number of its samples in `count`, sorted by id; and
    the other rows as REJECTED_INSTRUCTIONS.

    Conversations are equal if user and assistant say the same, whatever the system message and rendering. The row with
    the smallest id stays, so the order of the rows does not matter.
    """
    without_system = pl.col("messages").list.filter(pl.element().struct.field("role") != "system")
    rows = turns.with_columns(
        conversation=pl.concat_str(
            without_system.list.eval(pl.element().struct.field("content")).list.join("\0"),
            "instruction",
            separator="\0",
        ),
        instruction_id=pl.Series(
            [
                row_id("instruction", *(m["content"] for m in before), text)
                for before, text in turns.select("messages", "instruction").iter_rows()
            ],
            dtype=pl.String,
        ),
        messages=pl.concat_list("messages", pl.concat_list(pl.struct(role=pl.lit("user"), content="instruction"))),
        finish_reason=pl.lit("stop"),
        language=pl.col("detected"),
        tokens=pl.col("output_tokens"),
    ).sort("instruction_id", "sample_id")
    first = pl.int_range(pl.len()).over("conversation") == 0
    rows = rows.with_columns(
        count=pl.len().over("conversation").cast(pl.Int64),
        kept=first,
        kept_id=pl.col("instruction_id").first().over("conversation"),
    )
    kept = rows.filter("kept").select(list(INSTRUCTIONS))
    duplicates = rows.filter(~pl.col("kept")).with_columns(
        instruction_id="kept_id", reason=pl.lit("duplicate"), detail=pl.lit(None, dtype=pl.String)
    )
    return kept, duplicates.select(list(REJECTED_INSTRUCTIONS))
