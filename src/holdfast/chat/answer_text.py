"""What of the text that a model writes is its answer, and what its chat template writes around every answer.

Some templates put text between the generation prompt and the answer: a space in Mistral's and Llama 2's. The model has
learned to write that text itself. It is not part of the answer: the template of the model that is trained on the answer
writes its own. Others put text between the answer and the token that ends the turn.
"""

from typing import Any, NamedTuple

import polars as pl

from holdfast.chat.control_tokens import added_tokens
from holdfast.chat.template import Message, Refused, Template

_CONTEXT_TOKENS = 6  # of the prompt, enough to see how its end and the answer are joined
_SYSTEM: Message = {"role": "system", "content": "system ghw"}
_QUESTION: Message = {"role": "user", "content": "question qzx"}
_ANSWER: Message = {"role": "assistant", "content": "answer vjk"}


class AnswerFrame(NamedTuple):
    """The text that a chat template writes around an answer, where the model has to write it itself."""

    before: str  # between the generation prompt and the answer
    after: str  # between the answer and the token that ends the turn
    end: str | None  # that token; None where a template ends the turn with plain text


NO_FRAME = AnswerFrame("", "", None)


def answer_frame(template: Template) -> AnswerFrame:
    """Found by rendering a conversation with an answer, and comparing it with the prompt that asks for the answer.

    NO_FRAME for a template that refuses the conversation.
    """
    rendered = _rendered(template)
    if rendered is None:
        return NO_FRAME
    fitted, prompt, start, closing = rendered
    places = [(closing.find(text), -len(text), text) for text in added_tokens(template.tokenizer)]
    at, _, end = min((place for place in places if place[0] >= 0), default=(len(closing), 0, None))
    return AnswerFrame(_before(fitted, prompt, start), closing[:at], end)


def answer_opening(template: Template) -> str:
    """The text that the template itself has between the generation prompt and an answer.

    Unlike `AnswerFrame.before` it is text to be encoded together with the prompt: without a space that only the
    tokenizer puts there.
    """
    rendered = _rendered(template)
    if rendered is None:
        return ""
    _, prompt, start, _ = rendered
    return start.removeprefix(prompt) if start.startswith(prompt) else ""


def _rendered(template: Template) -> tuple[Template, str, str, str] | None:
    """The fitted template, a prompt, and the conversation with an answer: the text up to the answer and after it."""
    for talk in ([_QUESTION], [_SYSTEM, _QUESTION]):
        try:
            fitted = template.fitted()
            prompt, whole = fitted.text(talk, opening=True), fitted.text([*talk, _ANSWER], opening=False)
        except Refused:
            continue
        start, found, closing = whole.partition(_ANSWER["content"])
        if found:
            return fitted, prompt, start, closing
    return None


def _before(template: Template, prompt: str, start: str) -> str:
    """What the model writes between the prompt and its answer, as it is decoded, where `start` ends with the answer's.

    Some tokenizers put a space after each special token, so it is not always what the template has there.
    """
    if not start.startswith(prompt):
        return ""
    asked, answered = template.ids(prompt), template.ids(start + _ANSWER["content"])
    if answered[: len(asked)] != asked:
        return start.removeprefix(prompt)
    return added_text(template.tokenizer, asked, answered[len(asked) :]).partition(_ANSWER["content"])[0]


def added_text(tokenizer: Any, prompt_ids: list[int], answer_ids: list[int]) -> str:
    """The text that the tokens of an answer add to the prompt, exactly.

    Decoded alone, an answer loses its first space with tokenizers of SentencePiece's kind, and with some others the
    spaces before punctuation.
    """
    ids = prompt_ids[-_CONTEXT_TOKENS:]
    before, whole, alone = (
        str(tokenizer.decode(some, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        for some in (ids, ids + answer_ids, answer_ids)
    )
    return whole.removeprefix(before) if whole.startswith(before) else alone


def split_by_frame(before: pl.Expr, after: pl.Expr) -> dict[str, pl.Expr]:
    """Expressions on a table with `text` and `finish_reason`: `text` without the frame, and what was taken off.

    `before` and `after`: the frame of each row. Exactly that is taken off, once, so that the indentation of code stays;
    `after` only where the model ended its answer. `template_before + text + template_after` is what the model wrote.
    """
    text = pl.col("text")
    opened = pl.when(text.str.starts_with(before)).then(before).otherwise(pl.lit(""))
    rest = text.str.strip_prefix(opened)
    ended = (pl.col("finish_reason") == "stop") & rest.str.ends_with(after)
    closed = pl.when(ended).then(after).otherwise(pl.lit(""))
    return {"text": rest.str.strip_suffix(closed), "template_before": opened, "template_after": closed}


def split_by_guess() -> dict[str, pl.Expr]:
    """As `split_by_frame`, for a model whose template is not known (behind an endpoint).

    Taken off: before the answer one space or line breaks, after it one space, each only next to a visible character. No
    text means anything by these; indentation, which is wider, stays.
    """
    text = pl.col("text")
    return split_by_frame(
        text.str.extract(r"^( |\n+)\S", 1).fill_null(""), text.str.extract(r"\S( )$", 1).fill_null("")
    )
