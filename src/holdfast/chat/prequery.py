"""The pre-query prefix: the tokens before the user's text, derived from a model's own chat template.

The idea of sampling instructions from it is Magpie's (arXiv 2406.08464, section 2.1), with one hand-written prefix per
model family. Here a conversation is rendered with a probe as the user's text and cut at the probe.
"""

from itertools import takewhile
from typing import NamedTuple

from holdfast.chat.changed_text import changed_text
from holdfast.chat.control_tokens import added_tokens
from holdfast.chat.template import Message, Refused, Template

# Users' texts start and end with any character, and a tokenizer may merge it with its neighbour in the template. What
# is common to the renderings of all these are the tokens before the user's text.
_EDGES = ("Hello", "the", "9", "Écoute", "Привет", "你好", "مرحبا", "ま", "한", "🙂", *"\"'(<#*-`$:/[_.,?=@~{!")
_BODY = "probe qzx"
_STARTS = (*_EDGES, *map(chr, range(33, 127)))  # every visible ASCII character
_PROBES = tuple(f"{start} {_BODY} {end}" for start, end in zip(_EDGES, reversed(_EDGES), strict=True))
_ANSWER: Message = {"role": "assistant", "content": "answer vjk"}


class Prefix(NamedTuple):
    """How a user's turn is opened and closed.

    A rendered conversation is `prefix_text + boundary + user's text + suffix_text`. `boundary` is the end of the
    template's text, where it shares a token with the start of the user's text (the space in `[INST] Hi`): the model
    writes it itself.
    """

    prefix_text: str
    prefix_ids: list[int]
    boundary: str
    suffix_text: str  # everything after the user's text, up to where the assistant starts to write
    stop_ids: list[int]  # the special token that ends the user's turn, and the model's end-of-sequence tokens
    stop_text: str | None  # plain text that ends the user's turn, where no special token does it first
    assistant_text: str  # what opens the assistant's turn
    strips: bool  # the template strips white space around the user's text
    notes: list[str]  # what a user should know about this prefix, a sentence each


class Layout(NamedTuple):
    """How a template must be used to show a user's text, and the text that it puts around it."""

    template: Template  # contents given as text or as parts
    before: list[Message]
    after: list[Message]  # the assistant's answer, for a template that needs one; else the generation prompt is added
    prefix: str
    suffix: str

    def shown(self, text: str) -> str:
        """`text` as the template shows it. Raises Refused where the text around it is not the same."""
        rendered = self.template.text([*self.before, _user(text), *self.after], opening=not self.after)
        end = rendered.find(self.suffix, len(self.prefix))
        if not rendered.startswith(self.prefix) or end < 0:
            raise Refused("the text that the chat template puts around the user's text depends on that text")
        return rendered[len(self.prefix) : end]


def derive(template: Template, before: list[Message], eos: list[int]) -> Prefix:
    """The prefix of a user's turn after the messages `before` (a system message, earlier turns, or nothing).

    `eos`: tokens that end a generation of this model. Raises Refused if the template fails, drops a message,
    changes the user's text so that instructions would differ, or has nothing that opens or ends the turn.
    """
    if not template.tokenizer.chat_template:
        raise Refused("the tokenizer has no chat template")
    layout = _layout(template, before)
    template, prefix, suffix = layout.template, layout.prefix, layout.suffix
    for message in before:
        if message["role"] == "system" and message["content"].strip() not in prefix:
            raise Refused("the chat template ignores the system message; leave system prompts out for this model")
    for probe in _PROBES:
        if _split(template, before, probe, layout.after) != (prefix, suffix):
            raise Refused("the text that the chat template puts around the user's text depends on that text")
    ids, boundary = _common_ids(template, prefix, [f"{prefix}{start}{suffix}" for start in _STARTS])
    stop, plain = _stop(template, suffix)
    if stop is None and not plain:
        raise Refused("nothing in the chat template ends the user's turn")
    return Prefix(
        prefix_text=prefix.removesuffix(boundary),
        prefix_ids=ids,
        boundary=boundary,
        suffix_text=suffix,
        stop_ids=list(dict.fromkeys([*([] if stop is None else [stop]), *eos])),
        stop_text=plain or None,
        assistant_text=_assistant(layout, stop),
        strips=_strips(layout),
        notes=[*changed_text(layout.shown), *_bos_note(template, ids)],
    )


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _layout(template: Template, before: list[Message]) -> Layout:
    """The first way to use this template that shows the user's text. Raises Refused with the fault of the first."""
    fault: Refused | None = None
    for variant in (template, template.with_parts()):
        for after in ([], [_ANSWER]):
            try:
                layout = Layout(variant, before, after, *_split(variant, before, _PROBES[0], after))
                if not layout.suffix:
                    raise Refused("nothing in the chat template follows the user's text")
                _strips(layout)
            except Refused as error:
                fault = fault or error
            else:
                return layout
    assert fault is not None
    raise fault


def _split(template: Template, before: list[Message], probe: str, after: list[Message]) -> tuple[str, str]:
    """The rendered text before and after the user's text `probe`."""
    text = template.text([*before, _user(probe), *after], opening=not after)
    if text.count(probe) != 1:
        found = "leaves out or changes" if probe not in text else "repeats"
        raise Refused(f"the chat template {found} the user's text")
    prefix, suffix = text.split(probe)
    if after:
        suffix, found, _ = suffix.partition(after[-1]["content"])
        if not found:
            raise Refused("the chat template leaves out the assistant's answer")
    return prefix, suffix


def _strips(layout: Layout) -> bool:
    """Whether white space around the user's text is stripped (on either side). Raises Refused for any other change."""
    loose = f"  {_BODY} \n"
    seen = layout.shown(loose)
    if seen not in loose or _BODY not in seen:
        raise Refused("the chat template changes the user's text")
    return seen != loose


def _bos_note(template: Template, prefix_ids: list[int]) -> list[str]:
    """A note where the tokenizer starts plain text with its BOS token, but the chat template writes none."""
    bos = template.tokenizer.bos_token_id
    if bos is None or bos in prefix_ids or list(template.tokenizer(_BODY)["input_ids"])[:1] != [bos]:
        return []
    return [
        f"the tokenizer puts {template.tokenizer.bos_token} at the start of plain text, but the chat template writes"
        " none, so there is none in the prefix or in training; add it to the template if the model was aligned with it"
    ]


def _common_ids(template: Template, prefix: str, texts: list[str]) -> tuple[list[int], str]:
    """The tokens that all `texts` start with, within `prefix`, and the end of `prefix` that they do not cover."""
    columns = zip(*(template.ids(text) for text in texts), strict=False)
    ids = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
    if not prefix:
        raise Refused("the chat template puts nothing before the user's text")
    for count in range(len(ids), 0, -1):
        ends = {_end(template, text, count) for text in texts}
        if max(ends) <= len(prefix):
            return ids[:count], prefix[max(ends) :]
    raise Refused("the tokenizer merges the user's text with all of the template's text before it")


def _end(template: Template, text: str, count: int) -> int:
    """Where the `count`-th token of `text` ends."""
    tokenizer = template.tokenizer
    if tokenizer.is_fast:
        spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return max(end for _, end in spans[:count])
    ids = template.ids(text)[:count]
    return next((n for n in range(len(text), 0, -1) if template.ids(text[:n]) == ids), len(text) + 1)


def _stop(template: Template, suffix: str) -> tuple[int | None, str]:
    """The first special token after the user's text, and the first line of plain text before it, if there is any."""
    special = added_tokens(template.tokenizer)
    places = [(suffix.find(text), -len(text), token) for text, token in special.items() if text in suffix]
    at, _, token = min(places, default=(len(suffix), 0, None))
    before = suffix[:at]
    line = before.lstrip().partition("\n")[0].rstrip()
    return token, before[: before.find(line) + len(line)] if line else ""


def _assistant(layout: Layout, stop: int | None) -> str:
    """What opens the assistant's turn: what follows the token that closes the user's, else the generation prompt."""
    template, suffix = layout.template, layout.suffix
    turn = [*layout.before, _user(_PROBES[0])]
    closing = next((text for text, token in added_tokens(template.tokenizer).items() if token == stop), None)
    if closing and suffix.startswith(closing):  # it closes turns if it closes the assistant's too, else opens the next
        try:
            text = template.text([*turn, _ANSWER, _user(_PROBES[1]), *layout.after], opening=False)
        except Refused:
            text = ""
        if closing in text.partition(_ANSWER["content"])[2].partition(_PROBES[1])[0]:
            return suffix.removeprefix(closing).lstrip() or suffix
    if layout.after:
        return suffix
    bare = template.text(turn, opening=False).partition(_PROBES[0])[2]
    return suffix.removeprefix(bare) or suffix


def later_turn(template: Template, before: list[Message]) -> list[int]:
    """Tokens that open the user's next turn after `before`, where `derive` found the template sound. Raises Refused."""
    layout = _layout(template, before)
    texts = [f"{layout.prefix}{start}{layout.suffix}" for start in _EDGES]
    return _common_ids(layout.template, layout.prefix, texts)[0]
