"""How a chat template changes the text of a message, besides stripping white space around it."""

from collections.abc import Callable

from holdfast.chat.template import Refused

_KINDS = {
    "runs of spaces": "a  b",
    "line breaks": "a\nb",
    "blank lines": "a\n\nb",
    "indentation": "a\n    b",
    "tabs": "a\tb",
    "Windows line ends": "a\r\nb",
    "backslashes": r"a\b \\ c\n",
    "quotation marks": "\"a\" 'b'",
    "angle brackets and ampersands": "<a> & &amp; b",
    "braces": "{a} {{b}} {% c %}",
    "percent signs": "%a %%b 5 %",
    "combining characters": "e\u0301",
    "non-breaking spaces": "a\u00a0b",
}


def changed_text(shown: Callable[[str], str]) -> list[str]:
    """A sentence for each kind of text that `shown` (a message's text as the template shows it) changes.

    A model that saw such texts only in their changed form writes them so, which is fine if they stay the same when they
    are rendered again. Raises Refused if they do not: then its instructions differ from what users write.
    """
    notes = []
    for kind, sample in _KINDS.items():
        text = f"x{sample}y"
        seen = shown(text)
        if seen == text:
            continue
        if (again := shown(seen)) != seen:
            raise Refused(
                f"the chat template changes the user's text: {kind} ({text!r} becomes {seen!r}, and that {again!r}), so"
                " the model's instructions would not be what users write"
            )
        notes.append(
            f"the chat template changes {kind} in the user's text: the model sees {text!r} as {seen!r}, and writes its"
            " instructions so"
        )
    return notes
