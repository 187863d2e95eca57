"""Answers without the text that the model's chat template writes around them."""

from collections.abc import Iterable

import polars as pl

from holdfast.chat.answer_text import NO_FRAME, answer_frame, split_by_frame, split_by_guess
from holdfast.chat.template import Refused
from holdfast.inference.engines.renderer import Renderer
from holdfast.inference.params import Model


def renderer_of(name: str, model: Model) -> Renderer | None:
    """The tokenizer and chat template that answer for `model`; None for an endpoint, where they are not known.

    Raises UserError when the tokenizer cannot be loaded.
    """
    return None if model.engine == "openai" else Renderer.of(name, model)


def opens_answers(name: str, model: Model) -> bool:
    """Whether the model's chat template has text of its own before an answer; False for an endpoint."""
    renderer = renderer_of(name, model)
    return renderer is not None and renderer.opening() != ""


def without_template_text(
    answers: pl.LazyFrame, renderer: Renderer | None, renderings: Iterable[str | None]
) -> pl.LazyFrame:
    """`answers` with the model's answer alone in `text`, and what was taken off in template_before and template_after.

    Needs the columns text, finish_reason and rendering (as in Request), whose values are among `renderings`. Without a
    renderer see `split_by_guess`.
    """
    if renderer is None:
        return answers.with_columns(**split_by_guess())
    rows = []
    for rendering in renderings:
        try:
            frame = answer_frame(renderer.template(rendering))
        except Refused:  # it was not asked with this one
            frame = NO_FRAME
        rows.append((rendering, frame.before, frame.after))
    frames = pl.LazyFrame(rows, schema=dict.fromkeys(("rendering", "before", "after"), pl.String), orient="row")
    joined = answers.join(frames, on="rendering", how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(**split_by_frame(pl.col("before"), pl.col("after"))).drop("before", "after")
