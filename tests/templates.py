"""Chat templates of our own writing, with the properties of those that people use, and what must come out of them."""

from typing import NamedTuple


class Shape(NamedTuple):
    """A template and what must come out of it; `refused` is a part of the reason where nothing may."""

    template: str
    prefix: str = ""
    stop: str | None = None  # the special token that ends the turn; None: plain text does
    assistant: str = ""
    boundary: str = ""
    stop_text: str | None = None
    words: str = "gpt2"  # gpt2 | llama3 | spm | gemma
    refused: str = ""
    system: bool | None = True  # whether a system message can be given


HEAD = "{{ bos_token }}"
LOOP = "{% for m in messages %}"
END = "{% endfor %}"
OPEN = "{% if add_generation_prompt %}"
FI = "{% endif %}"
ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
TAKE_SYSTEM = (
    "{% if messages[0].role == 'system' %}{% set sys = messages[0].content %}{% set messages = messages[1:] %}"
    "{% else %}{% set sys = '' %}{% endif %}"
)
CHATML = LOOP + "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n" + END + OPEN + "<|im_start|>assistant\n" + FI
LLAMA3 = (
    LOOP
    + "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    + END
    + OPEN
    + "<|start_header_id|>assistant<|end_header_id|>\n\n"
    + FI
)
LLAMA3_USER = "<|start_header_id|>user<|end_header_id|>\n\n"
LLAMA3_OPENING = "<|start_header_id|>assistant<|end_header_id|>\n\n"
DATE = "{{ strftime_now('%d %b %Y') if strftime_now is defined else '01 Jan 2024' }}"

SHAPES = {
    "chatml": Shape(CHATML, "<|im_start|>user\n", "<|im_end|>", "<|im_start|>assistant\n"),
    "chatml_default_system": Shape(
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}" + CHATML,
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "chatml_open_last_turn": Shape(  # closes the last turn only when the assistant's is opened
        LOOP + "<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% if not loop.last or add_generation_prompt %}<|im_end|>\n{% endif %}"
        + END
        + OPEN
        + "<|im_start|>assistant\n"
        + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "chatml_no_think": Shape(  # an empty thought unless thinking is asked for
        CHATML
        + OPEN
        + "{% if enable_thinking is not defined or not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
        + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "chatml_tools": Shape(
        "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}" + CHATML,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "chatml_sep": Shape(
        LOOP
        + "<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>"
        + END
        + OPEN
        + "<|im_start|>assistant<|im_sep|>"
        + FI,
        "<|im_start|>user<|im_sep|>",
        "<|im_end|>",
        "<|im_start|>assistant<|im_sep|>",
    ),
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
    "llama3": Shape(HEAD + LLAMA3, "<s>" + LLAMA3_USER, "<|eot_id|>", LLAMA3_OPENING, words="llama3"),
    "llama3_gpt2_words": Shape(HEAD + LLAMA3, "<s>" + LLAMA3_USER, "<|eot_id|>", LLAMA3_OPENING),
    "llama3_dated": Shape(
        HEAD
        + "<|start_header_id|>system<|end_header_id|>\n\nToday: "
        + DATE
        + "\n\n{% if messages[0].role == 'system' %}{{ messages[0].content }}"
        "{% set messages = messages[1:] %}{% endif %}<|eot_id|>" + LLAMA3,
        "<s><|start_header_id|>system<|end_header_id|>\n\nToday: 05 Mar 2024\n\n<|eot_id|>" + LLAMA3_USER,
        "<|eot_id|>",
        LLAMA3_OPENING,
        words="llama3",
    ),
    "llama3_always_opens": Shape(  # whether asked to or not
        HEAD + LOOP + LLAMA3.split(LOOP)[1].split(OPEN)[0] + LLAMA3_OPENING + "{{ '' }}",
        "<s>" + LLAMA3_USER,
        "<|eot_id|>",
        LLAMA3_OPENING,
        words="llama3",
    ),
    "llama4": Shape(  # contents as text or as parts
        HEAD
        + LOOP
        + "<|header_start|>{{ m.role }}<|header_end|>\n\n{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endif %}<|eot|>"
        + END
        + OPEN
        + "<|header_start|>assistant<|header_end|>\n\n"
        + FI,
        "<s><|header_start|>user<|header_end|>\n\n",
        "<|eot|>",
        "<|header_start|>assistant<|header_end|>\n\n",
        words="llama3",
    ),
    "parts_only": Shape(  # of a vision model
        LOOP + "<|im_start|>{{ m.role }}\n{% for p in m.content %}"
        "{% if p.type == 'text' %}{{ p.text }}{% else %}<image>{% endif %}"
        "{% endfor %}<|im_end|>\n" + END + OPEN + "<|im_start|>assistant\n" + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
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
    "mistral_v3": Shape(  # control tokens, system text in the last user's turn
        HEAD + TAKE_SYSTEM + LOOP + "{% if m.role == 'user' %}[INST] {% if loop.last and sys %}"
        "{{ sys ~ '\n\n' }}{% endif %}{{ m.content }}[/INST]"
        "{% else %} {{ m.content }}{{ eos_token }}{% endif %}" + END,
        "<s>[INST]",
        "[/INST]",
        "[/INST]",
        boundary=" ",
        words="spm",
    ),
    "mistral_tekken": Shape(
        HEAD + LOOP + "{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]"
        "{% elif m.role == 'system' %}[SYSTEM_PROMPT]{{ m.content }}"
        "[/SYSTEM_PROMPT]{% else %}{{ m.content }}{{ eos_token }}{% endif %}" + END,
        "<s>[INST]",
        "[/INST]",
        "[/INST]",
        words="llama3",
    ),
    "gemma": Shape(
        HEAD
        + NO_SYSTEM
        + LOOP
        + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
        + END
        + OPEN
        + "<start_of_turn>model\n"
        + FI,
        "<s><start_of_turn>user\n",
        "<end_of_turn>",
        "<start_of_turn>model\n",
        words="gemma",
        system=False,
    ),
    "gemma3": Shape(  # system text before the first user's
        HEAD + TAKE_SYSTEM + LOOP + ALTERNATE + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ sys ~ '\n\n' if loop.first and sys else '' }}"
        "{{ m.content | trim }}<end_of_turn>\n" + END + OPEN + "<start_of_turn>model\n" + FI,
        "<s><start_of_turn>user\n",
        "<end_of_turn>",
        "<start_of_turn>model\n",
        words="gemma",
    ),
    "phi3": Shape(
        LOOP + "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n" + END + OPEN + "<|assistant|>\n" + FI,
        "<|user|>\n",
        "<|end|>",
        "<|assistant|>\n",
        words="gemma",
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
    "deepseek_r1": Shape(  # the opening of the assistant's turn is what ends the user's; then a thought begins
        HEAD
        + LOOP
        + "{% if m.role == 'user' %}<｜User｜>{{ m.content }}{% elif m.role == 'assistant' %}<｜Assistant｜>"
        "{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% else %}{{ m.content }}{% endif %}"
        + END
        + OPEN
        + "<｜Assistant｜><think>\n"
        + FI,
        "<s><｜User｜>",
        "<｜Assistant｜>",
        "<｜Assistant｜><think>\n",
    ),
    "command_r": Shape(
        HEAD + LOOP + "<|START_OF_TURN_TOKEN|>"
        "{{ {'user': '<|USER_TOKEN|>', 'system': '<|SYSTEM_TOKEN|>'}.get(m.role, '<|CHATBOT_TOKEN|>') }}"
        "{{ m.content.strip() }}<|END_OF_TURN_TOKEN|>" + END + OPEN + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>" + FI,
        "<s><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ),
    "command_a": Shape(  # always opens the assistant's turn, which has a frame inside
        HEAD
        + LOOP
        + "<|START_OF_TURN_TOKEN|>{% if m.role == 'assistant' %}<|CHATBOT_TOKEN|><|START_RESPONSE|>{{ m.content }}"
        "<|END_RESPONSE|>{% else %}<|{{ m.role | upper }}_TOKEN|>{{ m.content }}{% endif %}<|END_OF_TURN_TOKEN|>"
        + END
        + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<s><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
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
    "granite": Shape(
        LOOP
        + "<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n"
        + END
        + OPEN
        + "<|start_of_role|>assistant<|end_of_role|>"
        + FI,
        "<|start_of_role|>user<|end_of_role|>",
        "<|end_of_text|>",
        "<|start_of_role|>assistant<|end_of_role|>",
    ),
    "olmo": Shape(  # user's turn ends with a line break only: the next role's token stops it
        HEAD + LOOP + "<|{{ m.role }}|>\n{{ m.content }}\n" + END + OPEN + "<|assistant|>\n" + FI,
        "<s><|user|>\n",
        "<|assistant|>",
        "<|assistant|>\n",
    ),
    "smollm_dated": Shape(
        "<|im_start|>system\nKnowledge of "
        + DATE
        + ". Mode: {{ '/think' if enable_thinking else '/no_think' }}<|im_end|>\n{% if messages[0].role == 'system' %}"
        "{% set messages = messages[1:] %}{% endif %}" + CHATML,
        "<|im_start|>system\nKnowledge of 05 Mar 2024. Mode: /no_think<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
        system=None,  # dropped in silence
    ),
    "harmony": Shape(
        "<|start|>system<|message|>Date: "
        + DATE
        + "<|end|>"
        + LOOP
        + "<|start|>{{ 'developer' if m.role == 'system' else m.role }}"
        "{{ '<|channel|>final' if m.role == 'assistant' else '' }}<|message|>{{ m.content }}"
        "{{ '<|return|>' if m.role == 'assistant' and loop.last else '<|end|>' }}"
        + END
        + OPEN
        + "<|start|>assistant"
        + FI,
        "<|start|>system<|message|>Date: 05 Mar 2024<|end|><|start|>user<|message|>",
        "<|end|>",
        "<|start|>assistant",
        words="llama3",
    ),
    "refuses_lone_user": Shape(  # a training template: the last turn must be the assistant's
        "{% if messages[-1].role != 'assistant' %}{{ raise_exception('the last turn must be an answer') }}{% endif %}"
        + CHATML,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "flags_after_the_text": Shape(
        LOOP
        + "<|im_start|>{{ m.role }}\n{{ m.content }}{{ ' /no_think' if m.role == 'user' else '' }}<|im_end|>\n"
        + END
        + OPEN
        + "<|im_start|>assistant\n"
        + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
        stop_text=" /no_think",
    ),
    "no_space_before_text": Shape(  # ":)" may be one token
        LOOP + "{{ m.role }}:{{ m.content }}</s>" + END + OPEN + "assistant:" + FI,
        "user",
        "</s>",
        "assistant:",
        boundary=":",
        words="colon",
    ),
    "no_template": Shape("", refused="no chat template"),
    "only_the_text": Shape(LOOP + "{{ m.content }}" + END, refused="nothing in the chat template follows", system=None),
    "nothing_before": Shape(LOOP + "{{ m.content }}</s>" + END, refused="puts nothing before", system=None),
    "shouts": Shape(CHATML.replace("m.content", "m.content | upper"), refused="changes the user's text"),
    "says_it_twice": Shape(
        CHATML.replace("m.content", "m.content ~ '|' ~ m.content"), refused="repeats the user's text"
    ),
    "escapes": Shape(CHATML.replace("m.content", "m.content | e"), refused="changes the user's text"),
    "collapses_spaces": Shape(
        CHATML.replace("m.content", "m.content.split() | join(' ')"), refused="changes the user's text"
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
    "syntax_error": Shape("{% if %}", refused="refuses the conversation", system=None),
}
