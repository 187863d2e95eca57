"""The pre-query prefix: what a model has seen when its user starts to write, derived from its own chat template.

The idea of sampling instructions from it is Magpie's (arXiv 2406.08464, section 2.1), with one hand-written prefix per
model family. Here a conversation is rendered with a probe as the user's text and cut at the probe.
"""

from itertools import takewhile
from typing import NamedTuple

from holdfast.chat.control_tokens import added_tokens
from holdfast.chat.template import Message, Refused, Template

# Users' texts start and end with any character, and a tokenizer may merge it with its neighbour in the template. What
# is common to the renderings of all these is what the model has seen before the user wrote anything.
_EDGES = ("Hello", "the", "9", "Écoute", "Привет", "你好", "مرحبا", "ま", "한", "🙂", *"\"'(<#*-`$:/[_.,?=@~{!")


_BODY = "probe qzx"


_STARTS = (*_EDGES, *map(chr, range(33, 127)))  # every visible ASCII character


_PROBES = tuple(f"{start} {_BODY} {end}" for start, end in zip(_EDGES, reversed(_EDGES), strict=True))


_ANSWER: Message = {"role": "assistant", "content": "answer vjk"}


class Prefix(NamedTuple):
    """How a user's turn is opened and closed.

    A rendered conversation is `prefix_text + boundary + user's text + suffix_text`. `boundary` is template text that
    tokens of the user's text may swallow (the space in `[INST] Hi`): the model is left to write it.
    """

    prefix_text: str
    prefix_ids: list[int]
    boundary: str
    suffix_text: str  # everything after the user's text, up to where the assistant starts to write
    stop_ids: list[int]  # the special token that ends the user's turn, and the model's end-of-sequence tokens
    stop_text: str | None  # plain text that ends the user's turn, where no special token does it first
    assistant_text: str  # what opens the assistant's turn
    strips: bool  # the template strips white space around the user's text


def derive(template: Template, before: list[Message], eos: list[int]) -> Prefix:
    """The prefix of a user's turn after the messages `before` (a system message, earlier turns, or nothing).

    `eos`: tokens that end a generation of this model. Raises Refused where the template says no, drops a message,
    changes the user's text, or leaves nothing that opens or ends the turn.
    """
    if not template.tokenizer.chat_template:
        raise Refused("the tokenizer has no chat template")
    template, opened, after, closed = _layout(template, before)
    for message in before:
        if message["role"] == "system" and message["content"].strip() not in opened:
            raise Refused("the chat template ignores the system message; leave system prompts out for this model")
    for probe in _PROBES:
        if _split(template, before, probe, after) != (opened, closed):
            raise Refused("the text that the chat template puts around the user's text depends on that text")
    ids, boundary = _common_ids(template, opened, [f"{opened}{start}{closed}" for start in _STARTS])
    stop, plain = _stop(template, closed)
    if stop is None and not plain:
        raise Refused("nothing in the chat template ends the user's turn")
    return Prefix(
        prefix_text=opened.removesuffix(boundary),
        prefix_ids=ids,
        boundary=boundary,
        suffix_text=closed,
        stop_ids=list(dict.fromkeys([*([] if stop is None else [stop]), *eos])),
        stop_text=plain or None,
        assistant_text=_assistant(template, before, after, closed, stop),
        strips=_strips(template, before, after, opened, closed),
    )


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _layout(template: Template, before: list[Message]) -> tuple[Template, str, list[Message], str]:
    """How this template must be asked: contents as text or parts, and with or without an assistant's turn after.

    Returns the template to use, the text before the probe, the messages to put after the user's, the text after.
    """
    fault: Refused | None = None
    for way in (template, template.with_parts()):
        for after in ([], [_ANSWER]):
            try:
                opened, closed = _split(way, before, _PROBES[0], after)
                if not closed:
                    raise Refused("nothing in the chat template follows the user's text")
                _strips(way, before, after, opened, closed)
            except Refused as error:
                fault = fault or error
            else:
                return way, opened, after, closed
    assert fault is not None
    raise fault


def _split(template: Template, before: list[Message], probe: str, after: list[Message]) -> tuple[str, str]:
    """The rendered text before and after the user's text `probe`."""
    text = template.text([*before, _user(probe), *after], opening=not after)
    if text.count(probe) != 1:
        found = "leaves out or changes" if probe not in text else "repeats"
        raise Refused(f"the chat template {found} the user's text")
    opened, closed = text.split(probe)
    if after:
        closed, found, _ = closed.partition(after[-1]["content"])
        if not found:
            raise Refused("the chat template leaves out the assistant's answer")
    return opened, closed


def _strips(template: Template, before: list[Message], after: list[Message], opened: str, closed: str) -> bool:
    """Whether white space around the user's text is stripped (on either side). Raises Refused for any other change."""
    loose = f"  {_BODY}  {_BODY} \n"
    text = template.text([*before, _user(loose), *after], opening=not after)
    for left in (loose.strip(), loose.lstrip(), loose.rstrip(), loose):
        if text.startswith(opened + left + closed):
            return left != loose
    raise Refused("the chat template changes the user's text")


def _common_ids(template: Template, opened: str, texts: list[str]) -> tuple[list[int], str]:
    """The tokens that all `texts` start with, within `opened`, and the end of `opened` that they do not cover."""
    columns = zip(*(template.ids(text) for text in texts), strict=False)
    ids = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
    if not opened:
        raise Refused("the chat template puts nothing before the user's text")
    for count in range(len(ids), 0, -1):
        ends = {_end(template, text, count) for text in texts}
        if max(ends) <= len(opened):
            return ids[:count], opened[max(ends) :]
    raise Refused("the tokens of the user's text reach too far back into the chat template")


def _end(template: Template, text: str, count: int) -> int:
    """Where the `count`-th token of `text` ends."""
    tokenizer = template.tokenizer
    if tokenizer.is_fast:
        spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return max(end for _, end in spans[:count])
    ids = template.ids(text)[:count]
    return next((n for n in range(len(text), 0, -1) if template.ids(text[:n]) == ids), len(text) + 1)


def _stop(template: Template, closed: str) -> tuple[int | None, str]:
    """The first special token after the user's text, and the first line of plain text before it, if there is any."""
    special = added_tokens(template.tokenizer)
    places = [(closed.find(text), -len(text), token) for text, token in special.items() if text in closed]
    at, _, token = min(places, default=(len(closed), 0, None))
    before = closed[:at]
    line = before.lstrip().partition("\n")[0].rstrip()
    return token, before[: before.find(line) + len(line)] if line else ""


def _assistant(template: Template, before: list[Message], after: list[Message], closed: str, stop: int | None) -> str:
    """What opens the assistant's turn: what the generation prompt adds, else what follows the user's closing token."""
    special = added_tokens(template.tokenizer)
    closing = next((text for text, token in special.items() if token == stop and closed.startswith(text)), None)
    turn = [*before, _user(_PROBES[0])]
    if not after:
        bare = template.text(turn, opening=False).partition(_PROBES[0])[2]
        if closed.startswith(bare) and bare != closed:
            closed = closed.removeprefix(bare)
    if closing and closed.startswith(closing):  # ends the turn if it ends the assistant's too, else opens the next
        try:
            text = template.text([*turn, _ANSWER, _user(_PROBES[1]), *after], opening=False)
        except Refused:
            return closed
        between = text.partition(_ANSWER["content"])[2].partition(_PROBES[1])[0]
        if closing in between:
            return closed.removeprefix(closing).lstrip() or closed
    return closed


def later_turn(template: Template, before: list[Message]) -> list[int]:
    """Tokens that open the user's next turn after `before`, where `derive` found the template sound. Raises Refused."""
    way, opened, _, closed = _layout(template, before)
    return _common_ids(way, opened, [f"{opened}{start}{closed}" for start in _EDGES])[0]
