"""What a judge is shown (the rubric, then conversation and answer between tags that the content cannot close), and the
score that its log-probabilities give.

Only the standard library is imported, so that a model can be taught on exactly these prompts.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

Method = Literal["expected", "parse"]
RATINGS = ("1", "2", "3", "4", "5")  # the replies that the method `expected` reads
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


def expected_score(logprobs: Sequence[float | None] | None, min_valid_mass: float) -> tuple[float | None, float | None]:
    """The mean of RATINGS, weighted by their probabilities as a judge's first token, and the sum of these.

    The mean is None where that sum is below `min_valid_mass`; both are None without log-probabilities.
    """
    if not logprobs:
        return None, None
    probabilities = [0.0 if value is None else math.exp(value) for value in logprobs]
    mass = math.fsum(probabilities)
    if mass == 0 or mass < min_valid_mass:
        return None, min(mass, 1.0)
    mean = math.fsum(n * probability for n, probability in enumerate(probabilities, start=1)) / mass
    return min(5.0, max(1.0, mean)), min(mass, 1.0)
