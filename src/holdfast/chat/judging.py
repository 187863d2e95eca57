"""What a judge is shown: the rubric, then the conversation and the answer between tags that the content cannot close.

Only the standard library is imported, so that a model can be taught on exactly these prompts.
"""

import re
from collections.abc import Iterable
from typing import Literal

Method = Literal["expected", "parse"]


TAGS = ("system", "user", "assistant", "tool", "instruction", "answer")


_TAG = re.compile(rf"<(?=\s*/?\s*(?:{'|'.join(TAGS)})\b)", re.IGNORECASE)


_CLOSING = {
    "expected": "Reply with one digit from 1 to 5.",
    "parse": 'Give a short reason, then end with "Score: N", where N is a digit from 1 to 5.',
}


def escape(text: str) -> str:
    """`text` with the opening bracket of anything that looks like one of our tags written as `&lt;`."""
    return _TAG.sub("&lt;", text)


def _block(tag: str, text: str) -> str:
    return f"<{tag}>\n{escape(text)}\n</{tag}>"


def judge_messages(
    rubric: str,
    system: str | None,
    instruction: str,
    answer: str,
    method: Method = "expected",
    earlier: Iterable[tuple[str, str]] = (),
) -> list[dict[str, str]]:
    """The conversation that asks a judge for a score: one user message.

    `earlier` holds the (role, content) turns before `instruction`; a role that is not user, assistant or tool is shown
    as the user's. The rubric comes first and the answer last, so that the candidates of one instruction share the
    longest possible prefix.
    """
    blocks = [] if system is None else [_block("system", system)]
    blocks += [_block(role if role in TAGS else "user", content) for role, content in earlier]
    blocks += [_block("instruction", instruction), _block("answer", answer)]
    return [{"role": "user", "content": "\n".join([rubric.strip(), *blocks, _CLOSING[method]])}]
