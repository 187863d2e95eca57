"""Control tokens: texts that a tokenizer turns into one token wherever they stand, and that only a template writes.

In training a message is tokenised with the template around it, so a message that spells one of them (`<|im_end|>`, say)
ends a turn in the middle. When models are asked, messages are plain text (`holdfast.inference.engines.renderer`).
"""

import json
import re
from collections.abc import Collection
from typing import Any

import polars as pl

from holdfast.chat.template import Message, Refused, Template

# Marks of reasoning and tool calls are texts that assistants write in an answer and that system prompts explain.
_REASONING = re.compile("think|thought|reason", re.IGNORECASE)
_TOOLS = re.compile("tool|function", re.IGNORECASE)
_CONVERSATIONS = (("user", "assistant", "user"), ("user", "assistant"), ("system", "user", "assistant"))


def added_tokens(tokenizer: Any) -> dict[str, int]:
    """Texts that the tokenizer turns into one token wherever they stand, with their ids."""
    added = {str(token): token_id for token_id, token in tokenizer.added_tokens_decoder.items()}
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {text: token_id for text, token_id in (added | named).items() if text.strip()}


def control_tokens(tokenizer: Any, template_text: str) -> set[str]:
    """Those of `added_tokens` that are flagged special, and those others that are in `template_text`.

    Tokens are also added for text that users write: Gemma's are HTML tags.
    """
    special = _special(tokenizer)
    return {text for text in added_tokens(tokenizer) if text in special or text in template_text}


def _special(tokenizer: Any) -> set[str]:
    """Texts of the tokens that are flagged special, which a tokenizer need not list among its special tokens."""
    flagged = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return flagged | set(tokenizer.all_special_tokens)


def message_control_tokens(template: Template) -> list[str]:
    """The control tokens that no message may spell, sorted: special ones, and others that the template writes.

    Not those that mark reasoning in an answer (`<think>`), nor those of tool calls unless they are flagged special.
    """
    tokenizer = template.tokenizer
    written = f"{json.dumps(tokenizer.chat_template, ensure_ascii=False)}\n{_conversation(template)}"
    special = _special(tokenizer)
    return sorted(
        token
        for token in control_tokens(tokenizer, written)
        if not _REASONING.search(token) and (token in special or not _TOOLS.search(token))
    )


def _conversation(template: Template) -> str:
    """A short conversation as the template renders it (some put their tokens together), or nothing if it refuses."""
    for roles in _CONVERSATIONS:
        talk: list[Message] = [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]
        try:
            return template.fitted().text(talk, opening=False)
        except Refused:
            continue
    return ""


def first_control_token(text: pl.Expr, tokens: Collection[str]) -> pl.Expr:
    """The first of `tokens` that a column of texts spells; null where it spells none."""
    return text.str.extract_many(pl.lit(sorted(tokens), pl.List(pl.String)), leftmost=True).list.first()
