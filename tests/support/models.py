"""Tiny models, built once per machine, for tests that need a real engine."""

import json
import os
import subprocess
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from small_tokenizers import tokenizer
from templates import SHAPES

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".holdfast" / "tests"

BUILD = """
import sys, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
folder, seed, layers, context = sys.argv[1], *map(int, sys.argv[2:])
torch.manual_seed(seed)
special = ["<|pad|>", "<|bos|>", "<|start|>", "<|end|>", "<|eos|>"]
vocabulary = {t: i for i, t in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens(special)
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=special[0], bos_token=special[1],
                               eos_token=special[4], additional_special_tokens=special[2:4])
fast.chat_template = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }}\\n{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\\n{% endif %}"
)
config = LlamaConfig(vocab_size=len(vocabulary), hidden_size=64, intermediate_size=64, num_hidden_layers=layers,
                     num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=context,
                     bos_token_id=1, eos_token_id=[3, 4], pad_token_id=0, initializer_range=0.4,
                     tie_word_embeddings=True)
LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
fast.save_pretrained(folder)
"""


TEACH = """
import json, sys, torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
folder, talks = sys.argv[1], json.loads(sys.argv[2])
torch.manual_seed(0)
torch.set_num_threads(1)
fast = AutoTokenizer.from_pretrained(folder)
config = LlamaConfig(vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                     num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256,
                     bos_token_id=fast.bos_token_id, eos_token_id=fast.eos_token_id, pad_token_id=fast.eos_token_id)
model = LlamaForCausalLM(config).to(torch.float32)
rows = []
for talk in talks:
    ids = fast.apply_chat_template(talk, return_dict=False)
    asked = len(fast.apply_chat_template(talk[:1], add_generation_prompt=True, return_dict=False))
    rows.append((torch.tensor([ids]), torch.tensor([[-100] * asked + ids[asked:]])))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(1000):
    losses = torch.stack([model(ids, labels=labels).loss for ids, labels in rows])
    if losses.max().item() < 0.01:
        break
    optimizer.zero_grad()
    losses.sum().backward()
    optimizer.step()
else:
    sys.exit(f"not learned: {losses}")
model.save_pretrained(folder)
"""


def taught_model(shape: str, answers: dict[str, str]) -> Path:
    """Folder of a small Llama with the tokenizer and template of `shape` that knows the `answers` by heart."""
    fast = tokenizer(SHAPES[shape])
    talks = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in answers.items()
    ]

    def build(folder: Path) -> list[str]:
        fast.save_pretrained(folder)
        return [TEACH, str(folder), json.dumps(talks)]

    return _built(f"taught-{shape}", f"{TEACH} {fast.backend_tokenizer.to_str()} {fast.chat_template} {talks}", build)


def tiny_model(seed: int = 0, layers: int = 1, context: int = 512) -> Path:
    """Folder of a byte-level Llama (261 tokens, 0.05 M parameters; heads of 32 for vLLM on a CPU) with a chat template.

    Turns are `<|start|>role\\ntext<|end|>`; what it writes is noise, but always the same noise for the same seed.
    """
    numbers = [str(seed), str(layers), str(context)]
    return _built("tiny", " ".join([BUILD, *numbers]), lambda folder: [BUILD, str(folder), *numbers])


def _built(name: str, content: str, build: Callable[[Path], list[str]]) -> Path:
    """The cached folder for `content`, else made by the program (and its arguments) that `build` returns."""
    folder = CACHE / f"{name}-{blake2b(content.encode(), digest_size=6).hexdigest()}"
    if not folder.exists():
        aside = folder.with_name(f"{folder.name}.{os.getpid()}")
        aside.mkdir(parents=True)
        command = [str(ROOT / "envs" / "in-env"), "training", "python", "-c", *build(aside)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        try:
            aside.rename(folder)
        except OSError:  # another process was first
            subprocess.run(["rm", "-r", aside], check=True)
    return folder
