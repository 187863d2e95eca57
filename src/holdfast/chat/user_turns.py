"""What the user wrote in a sampled turn, and in the turns before it."""

import json

import polars as pl


def user_turns(samples: pl.LazyFrame, prompts: pl.LazyFrame) -> pl.LazyFrame:
    """SAMPLES joined to PROMPTS, with `instruction` (the user's text, without the template's around it) and `ended`.

    A turn has ended if the model stopped, or wrote the plain text that ends a turn in this template. `rendering` holds
    the options of the prompt's rendering alone (as in INSTRUCTIONS), null where it has none.
    """
    sides = prompts.select(
        *("prompt_id", "kind", "slice", "system", "boundary", "stop_text", "marks"),
        wanted="language",
        rendering=pl.col("rendering").map_elements(_options, return_dtype=pl.String),
    )
    text = pl.col("text").fill_null("").str.strip_prefix(pl.col("boundary"))  # null where the sample failed
    at = text.str.find(pl.col("stop_text"), literal=True)  # in bytes
    cut = pl.when(at.is_not_null()).then(text.str.head(_characters(text, at))).otherwise(text)
    return samples.join(sides, on="prompt_id", how="left", maintain_order="left").with_columns(
        instruction=cut.str.strip_chars(), ended=(pl.col("finish_reason") == "stop") | at.is_not_null()
    )


def earlier_turns(turns: pl.DataFrame) -> pl.DataFrame:
    """`turns` once for every user turn in its `messages` (those before its own turn): `turn` and `instruction` are that
    turn's number and text, the other columns stay. Rows of one turn are not in it."""
    users = pl.col("messages").list.eval(
        pl.element().filter(pl.element().struct.field("role") == "user").struct.field("content")
    )
    return (
        turns.filter(pl.col("messages").list.len() > 1)  # one message is a system message
        .with_columns(instruction=users)
        .with_columns(turn=pl.int_ranges(1, pl.col("instruction").list.len() + 1))
        .explode("turn", "instruction")
    )


def _options(rendering: str) -> str | None:
    options = json.loads(rendering).get("options")
    return json.dumps(options, ensure_ascii=False) if options else None


def _characters(text: pl.Expr, at: pl.Expr) -> pl.Expr:
    """The byte offset `at` of `text` in characters."""
    return text.cast(pl.Binary).bin.slice(0, at).cast(pl.String).str.len_chars()
