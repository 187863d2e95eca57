"""The chat template as Axolotl must be given it, to train on what all other steps render.

Axolotl hands a template neither a date nor contents as parts. So a template that asks for today's date, or wants parts,
gets a few lines of Jinja before it that see to both.
"""

import datetime
import json
import re

from holdfast.chat.answer_text import answer_frame
from holdfast.chat.dates import FIXED_DATE
from holdfast.chat.template import Template

DATE = datetime.date.fromisoformat(FIXED_DATE)

_IN_PARTS = (
    "{%- set holdfast = namespace(messages=[]) %}{% for m in messages %}{% if m.content is string %}"
    "{% set m = dict(m, content=[{'type': 'text', 'text': m.content}]) %}{% endif %}"
    "{% set holdfast.messages = holdfast.messages + [m] %}{% endfor %}{% set messages = holdfast.messages %}"
)


def training_template(template: Template, given: bool = False) -> str | None:
    """Jinja that renders contents as text and dates as 2024-07-26; None where the tokenizer's own does already.

    `given`: the template is the user's, not the tokenizer's own. Raises Refused where it renders no user's text.
    """
    source = template.tokenizer.chat_template
    if not isinstance(source, str):
        return None
    head = _dated(source) if "strftime_now" in source else ""
    head += _IN_PARTS if template.fitted().parts else ""
    if not head:
        return source if given else None
    return f"{head}\n{source}"  # Transformers trims the line break after a block


def _dated(source: str) -> str:
    """A macro that takes the place of `strftime_now`, for every directive that `source` holds."""
    moment = datetime.datetime.combine(DATE, datetime.time())
    directives = sorted(set(re.findall(r"%-?[A-Za-z]", source)))
    written = {directive: moment.strftime(directive) for directive in directives}
    steps = [("%%", "\0"), *((d, text) for d, text in written.items() if text != d), ("\0", "%")]
    filters = "".join(f" | replace({json.dumps(old)}, {json.dumps(new)})" for old, new in steps)
    return f"{{%- macro strftime_now(format) -%}}{{{{ format{filters} }}}}{{%- endmacro %}}"


def end_of_turn(template: Template) -> str | None:
    """The token that closes an assistant's turn, where it is not the tokenizer's EOS: Axolotl must be told."""
    end = answer_frame(template).end
    return end if end != template.tokenizer.eos_token else None
