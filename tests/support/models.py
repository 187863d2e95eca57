"""A tiny model of random weights, built once per machine, for tests that need a real engine."""

import os
import subprocess
from hashlib import blake2b
from pathlib import Path

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


def tiny_model(seed: int = 0, layers: int = 1, context: int = 512) -> Path:
    """Folder of a byte-level Llama (261 tokens, 0.05 M parameters; heads of 32 for vLLM on a CPU) with a chat template.

    Turns are `<|start|>role\\ntext<|end|>`; what it writes is noise, but always the same noise for the same seed.
    """
    key = blake2b(f"{BUILD} {seed} {layers} {context}".encode(), digest_size=6).hexdigest()
    folder = CACHE / f"tiny-{key}"
    if not folder.exists():
        aside = folder.with_name(f"{folder.name}.{os.getpid()}")
        aside.mkdir(parents=True)
        command = [
            ROOT / "envs" / "in-env",
            "training",
            "python",
            "-c",
            BUILD,
            aside,
            str(seed),
            str(layers),
            str(context),
        ]
        subprocess.run(command, check=True, capture_output=True, text=True)
        try:
            aside.rename(folder)
        except OSError:  # another process was first
            subprocess.run(["rm", "-r", aside], check=True)
    return folder
