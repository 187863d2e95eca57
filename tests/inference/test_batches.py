"""The Transformers engine batches rows of any length: none is answered otherwise for its neighbours."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chain import ask_apart
from models import tiny_model

pytestmark = pytest.mark.engine
CONTEXT = 96
LENGTHS = (3, 90, 12, 60, 95, 30, 4, 75)
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 200}
DRAWN: dict[str, Any] = {"temperature": 1.0, "top_p": 0.95, "top_k": 200, "min_p": 0.001, "max_tokens": 200}
SAMPLINGS = {
    "greedy": GREEDY,
    "greedy and penalised": GREEDY | {"repetition_penalty": 1.3},
    "drawn": DRAWN,
    "drawn and penalised": DRAWN | {"repetition_penalty": 1.3},
}


def requests() -> list[dict[str, Any]]:
    """Prompts of very different lengths, each once with every kind of sampling."""
    prompts = {length: [1, 2, *(10 + (7 * length + 3 * i) % 240 for i in range(length - 2))] for length in LENGTHS}
    return [
        {"id": f"{kind}, {length}", "prompt_ids": ids, "seed": length, "sampling": sampling}
        for kind, sampling in SAMPLINGS.items()
        for length, ids in prompts.items()
    ]


def changed(folder: Path, name: str, **settings: Any) -> Path:
    """The folder with keys of one of its JSON files changed."""
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder


def as_it_is(folder: Path) -> Path:
    return folder


def pad_is_eos(folder: Path) -> Path:
    return changed(folder, "tokenizer_config.json", pad_token="<|end|>")


def settings_of_its_own(folder: Path) -> Path:
    """As some models on the hub, which vLLM takes for defaults of its server only."""
    return changed(folder, "generation_config.json", repetition_penalty=1.8, no_repeat_ngram_size=2, max_length=20)


def long_rope(folder: Path) -> Path:
    """As Phi-3: positions are scaled otherwise as soon as one row of a batch is longer than 48 tokens."""
    factors = {"short_factor": [1.0] * 16, "long_factor": [4.0] * 16, "original_max_position_embeddings": 48}
    return changed(folder, "config.json", rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0} | factors)


MODELS = (as_it_is, pad_is_eos, settings_of_its_own, long_rope)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[pl.DataFrame]]:
    """For each model the answers of many rows in a batch, and of one."""
    folder = tmp_path_factory.mktemp("batches")
    cases = []
    for change in MODELS:
        path = change(shutil.copytree(tiny_model(), folder / change.__name__))
        for batch_size in (len(LENGTHS), 1):
            arguments = {"max_model_len": CONTEXT, "batch_size": batch_size}
            model = {"path": str(path), "engine": "transformers", "engine_args": arguments}
            cases.append({"model": model, "requests": requests()})
    found = ask_apart(folder, cases)
    assert not [said for said in found if isinstance(said, str)], found
    return {change.__name__: found[2 * i : 2 * i + 2] for i, change in enumerate(MODELS)}


@pytest.mark.parametrize("model", [change.__name__ for change in MODELS])
def test_a_row_s_answer_does_not_depend_on_its_neighbours(answered: dict[str, list[pl.DataFrame]], model: str) -> None:
    columns = ["id", "text", "finish_reason", "prompt_tokens", "output_tokens"]
    many, one = (table.select(columns).rows() for table in answered[model])
    assert many == one


def test_a_row_may_fill_its_own_context(answered: dict[str, list[pl.DataFrame]]) -> None:
    for table in answered["as_it_is"]:
        room = CONTEXT - pl.col("prompt_tokens")
        cut = table.filter(pl.col("finish_reason") == "length")
        assert len(cut) > len(LENGTHS)
        assert cut.select((pl.col("output_tokens") == room).all()).item()
        assert table.select((pl.col("output_tokens") <= room).all()).item()


def test_only_the_request_says_how_tokens_are_chosen(answered: dict[str, list[pl.DataFrame]]) -> None:
    plain, own = answered["as_it_is"][0], answered["settings_of_its_own"][0]
    assert own["text"].to_list() == plain["text"].to_list()
