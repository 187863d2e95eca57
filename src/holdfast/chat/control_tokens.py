"""Control tokens: texts that a tokenizer turns into one token wherever they stand, and that only a template writes.

In training a message is tokenised with the template around it, so a message that spells one of them (`<|im_end|>`, say)
ends a turn in the middle. When models are asked, messages are plain text (`holdfast.inference.engines.renderer`).
"""

from collections.abc import Collection
from typing import Any

import polars as pl

from holdfast.chat.template import Message, Refused, Template

_QUESTION, _ANSWER = "question qzx", "answer vjk"


_CONVERSATIONS: tuple[list[Message], ...] = tuple(
    [{"role": role, "content": content} for role, content in turns]
    for turns in (
        # first: an answer that is not the last turn is rendered without its reasoning by most templates
        [("user", _QUESTION), ("assistant", _ANSWER), ("user", "more")],
        [("user", _QUESTION), ("assistant", _ANSWER)],
        [("system", "rules"), ("user", _QUESTION), ("assistant", _ANSWER)],
    )
)


def added_tokens(tokenizer: Any) -> dict[str, int]:
    """Texts that the tokenizer turns into one token wherever they stand, with their ids."""
    added = {str(token): token_id for token_id, token in tokenizer.added_tokens_decoder.items()}
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {text: token_id for text, token_id in (added | named).items() if text.strip()}


def control_tokens(tokenizer: Any, template_text: str) -> set[str]:
    """Those of `added_tokens` that are flagged special, and those others that are in `template_text`.

    Tokens are also added for text that users write: Gemma's are HTML tags.
    """
    added = tokenizer.added_tokens_decoder.values()
    special = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
    return {text for text in added_tokens(tokenizer) if text in special or text in template_text}


def message_control_tokens(template: Template) -> list[str]:
    """The control tokens that no message may spell, sorted: the special ones, and those that open and close turns.

    Tokens that models write inside an answer (`<think>`, `<tool_call>`) are not among them: their tokenizers do not
    flag them as special, and a template writes them before a plain answer in pairs (`<think></think>`) or not at all.
    """
    tokenizer = template.tokenizer
    text = _conversation(template) if tokenizer.chat_template else ""
    opening = text.partition(_QUESTION)[2].partition(_ANSWER)[0]
    for token in [token for token in added_tokens(tokenizer) if token[:2] in ("</", "[/")]:
        _, _, closed = opening.partition(token.replace("/", "", 1))
        if token in closed:  # an empty block in front of the answer
            text = text.replace(token, "").replace(token.replace("/", "", 1), "")
    return sorted(control_tokens(tokenizer, text))


def _conversation(template: Template) -> str:
    """A short conversation as the template renders it, or nothing where it refuses all that are tried."""
    for talk in _CONVERSATIONS:
        try:
            return template.fitted().text(talk, opening=False)
        except Refused:
            continue
    return ""


def first_control_token(text: pl.Expr, tokens: Collection[str]) -> pl.Expr:
    """The first of `tokens` that a column of texts spells; null where it spells none."""
    return text.str.extract_many(pl.lit(sorted(tokens), pl.List(pl.String)), leftmost=True).list.first()
