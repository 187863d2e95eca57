"""Templates from which nothing may be derived, each with a part of the reason."""

from templates.blocks import CHATML, END, LOOP, Shape

REFUSED_SHAPES = {
    "no_template": Shape("", refused="no chat template"),
    "only_the_text": Shape(LOOP + "{{ m.content }}" + END, refused="nothing in the chat template follows", system=None),
    "nothing_before": Shape(LOOP + "{{ m.content }}</s>" + END, refused="puts nothing before", system=None),
    "shouts": Shape(CHATML.replace("m.content", "m.content | upper"), refused="changes the user's text"),
    "says_it_twice": Shape(
        CHATML.replace("m.content", "m.content ~ '|' ~ m.content"), refused="repeats the user's text"
    ),
    "escapes": Shape(CHATML.replace("m.content", "m.content | e"), refused="changes the user's text"),
    "escapes_angle_brackets": Shape(
        CHATML.replace("m.content", "m.content | replace('&', '&amp;') | replace('<b', '&lt;b')"),
        refused="angle brackets and ampersands",
    ),
    "doubles_backslashes": Shape(
        CHATML.replace("m.content", "m.content.split('\\\\') | join('\\\\\\\\')"), refused="backslashes"
    ),
    "depends_on_text": Shape(
        CHATML.replace("{{ m.content }}", "{{ 'math: ' if '9' in m.content else '' }}{{ m.content }}"),
        refused="depends on that text",
    ),
    "needs_system": Shape(
        "{% if messages[0].role != 'system' %}{{ raise_exception('a system message comes first') }}{% endif %}"
        + CHATML,
        refused="a system message comes first",
    ),
    "broken": Shape("{{ messages[0].content.nothing() }}", refused="refuses the conversation", system=None),
    "syntax_error": Shape("{# x #}\n{% if %}", refused="not valid Jinja: line 2: ", system=None),
}
