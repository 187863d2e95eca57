"""Templates that tell turns by plain text, at least in part."""

from templates.blocks import ALTERNATE, END, FI, HEAD, LOOP, NO_SYSTEM, OPEN, TAKE_SYSTEM, Shape

PLAIN_SHAPES = {
    "llama2": Shape(  # plain text around the user's, contents stripped, system inside the first turn
        TAKE_SYSTEM
        + LOOP
        + ALTERNATE
        + "{% if loop.first and sys %}{% set text = '<<SYS>>\n' ~ sys ~ '\n<</SYS>>\n\n' ~ m.content %}"
        "{% else %}{% set text = m.content %}{% endif %}"
        "{% if m.role == 'user' %}{{ bos_token }}[INST] {{ text | trim }} [/INST]"
        "{% else %} {{ m.content | trim }} {{ eos_token }}{% endif %}" + END,
        "<s>[INST]",
        None,
        " [/INST]",
        boundary=" ",
        stop_text=" [/INST]",
        words="spm",
    ),
    "parts_after_role": Shape(  # as Idefics 3: text is no list of parts, and vanishes
        "<s>" + LOOP + "{{ m.role | capitalize }}: {% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}"
        "{% elif p.type == 'image' %}<image>{% endif %}{% endfor %}<end_of_utterance>\n"
        + END
        + OPEN
        + "Assistant:"
        + FI,
        "<s>User:",
        "<end_of_utterance>",
        "Assistant:",
        boundary=" ",
    ),
    "mistral_v1": Shape(
        HEAD
        + NO_SYSTEM
        + LOOP
        + ALTERNATE
        + "{% if m.role == 'user' %} [INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}"
        + END,
        "<s> [INST]",
        None,
        " [/INST]",
        boundary=" ",
        stop_text=" [/INST]",
        words="spm",
        system=False,
    ),
    "deepseek_plain": Shape(
        HEAD
        + LOOP
        + "{% if m.role == 'user' %}User: {{ m.content }}\n\n{% elif m.role == 'assistant' %}Assistant: {{ m.content }}"
        "{{ eos_token }}{% else %}{{ m.content }}\n\n{% endif %}" + END + OPEN + "Assistant:" + FI,
        "<s>User:",
        None,
        "Assistant:",
        boundary=" ",
        stop_text="\n\nAssistant:",
    ),
    "falcon": Shape(
        LOOP + "{{ '' if loop.first else '\n' }}"
        "{{ {'user': 'User: ', 'assistant': 'Falcon: '}.get(m.role, '') }}{{ m.content }}"
        + END
        + OPEN
        + "{{ '\nFalcon:' }}"
        + FI,
        "User:",
        None,
        "\nFalcon:",
        boundary=" ",
        stop_text="\nFalcon:",
    ),
    "zephyr": Shape(  # roles are plain text, turns end with </s>
        LOOP + "<|{{ m.role }}|>\n{{ m.content }}</s>\n" + END + OPEN + "<|assistant|>\n" + FI,
        "<|user|>\n",
        "</s>",
        "<|assistant|>\n",
        words="spm",
    ),
    "vicuna": Shape(
        TAKE_SYSTEM
        + "{{ sys or 'A chat.' }} "
        + LOOP
        + "{% if m.role == 'user' %}USER: {{ m.content }}{% else %} ASSISTANT: {{ m.content }}</s>{% endif %}"
        + END
        + OPEN
        + " ASSISTANT:"
        + FI,
        "A chat. USER:",
        None,
        " ASSISTANT:",
        boundary=" ",
        stop_text=" ASSISTANT:",
        words="spm",
    ),
    "alpaca": Shape(
        LOOP + "{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n"
        "{% elif m.role == 'assistant' %}### Response:\n"
        "{{ m.content }}\n\n{% else %}{{ m.content }}\n\n{% endif %}" + END + OPEN + "### Response:\n" + FI,
        "### Instruction:\n",
        None,
        "### Response:\n",
        stop_text="\n\n### Response:",
        words="llama3",
    ),
    "no_space_before_text": Shape(  # ":)" may be one token
        LOOP + "{{ m.role }}:{{ m.content }}</s>" + END + OPEN + "assistant:" + FI,
        "user",
        "</s>",
        "assistant:",
        boundary=":",
        words="colon",
    ),
}
