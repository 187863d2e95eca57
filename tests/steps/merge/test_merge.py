"""The merge step on tiny models: the average itself, the shares 0 and 1, and models that cannot be averaged."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from models import tiny_model
from training import in_env

pytestmark = pytest.mark.engine

MAKE = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from safetensors.torch import load_file, save_file
parts = [("base", "bfloat16", "60KB"), ("models/one", "float32", "5GB"), ("models/two", "bfloat16", "90KB"),
         ("models/one-s1", "float32", "5GB")]
for number, (name, dtype, shard) in enumerate(parts):
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="float32")
    torch.manual_seed(number)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn_like(weight)
    model.to(getattr(torch, dtype)).save_pretrained(name, max_shard_size=shard)
    AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(name)
"""
MERGE = """
import json, sys
from holdfast.common.errors import UserError
from holdfast.steps.merge.__main__ import main
for run, arms in json.loads(sys.argv[1]):
    sys.argv = ["merge", "--params", "arms", "--run", run, "--base", "./base", "--model", f"models/{run}"]
    sys.argv += ["--arms", *arms]
    try:
        main()
    except UserError as error:
        print("REFUSED", " ".join(str(error).split()))
"""
COMPARE = """
import json, sys, torch
from pathlib import Path
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
def tensors(folder):
    return {name: t for file in sorted(Path(folder).glob("*.safetensors")) for name, t in load_file(file).items()}
base, one, again, two = (tensors(name) for name in ("base", "models/one", "models/one-s1", "models/two"))
def same(found, *parts):
    assert found.keys() == base.keys()
    for name, tensor in found.items():
        exact = sum(share * model[name].double() for share, model in parts)
        assert tensor.dtype == torch.bfloat16 and tensor.shape == base[name].shape
        # float32 sums, rounded to the nearest of 8 bits
        assert torch.allclose(tensor.double(), exact, rtol=2**-8, atol=1e-6), name
same(tensors("models/half"), (0.5, one), (0.5, base))
same(tensors("models/half-s1"), (0.5, again), (0.5, base))
same(tensors("models/soup"), (0.3, one), (0.2, two), (0.5, base))
same(tensors("models/pair"), (0.3, one), (0.7, two))
for folder in ("half", "soup", "pair"):
    model, about = AutoModelForCausalLM.from_pretrained(f"models/{folder}", output_loading_info=True)
    assert not about["missing_keys"] and not about["unexpected_keys"] and model.dtype == torch.bfloat16
"""
HEADED = """
from safetensors.torch import load_file, save_file
tensors = load_file("models/headed/model.safetensors")
save_file(tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, "models/headed/model.safetensors")
"""
FAULTY = """
import torch
from pathlib import Path
from safetensors.torch import load_file, save_file
tensors = load_file("models/one/model.safetensors")
norm = "model.norm.weight"
def save(folder, tensors):
    save_file(tensors, f"models/{folder}/model.safetensors", metadata={"format": "pt"})
save("lacking", {name: tensor for name, tensor in tensors.items() if name != norm})
save("longer", tensors | {norm: torch.ones(65)})
save("whole_numbers", tensors | {norm: tensors[norm].to(torch.int64)})
Path("models/torn/model.safetensors").write_bytes(Path("models/one/model.safetensors").read_bytes()[:-9])
"""


def python(folder: Path, script: str, *words: str) -> str:
    done = in_env("training", "python", "-c", script, *words, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the base model (several files of bfloat16) and the models of two arms."""
    folder = tmp_path_factory.mktemp("merge")
    python(folder, MAKE, str(tiny_model()))
    assert len(list((folder / "base").glob("*.safetensors"))) > 1
    for name in ("base", "one", "two", "one-s1"):
        where = folder / name if name == "base" else folder / "models" / name
        (where / "generation_config.json").write_text('{"eos_token_id": [3, 4]}')
    return folder


def merge(folder: Path, arms: dict[str, dict[str, float]], *seeded: str) -> str:
    """Run the step for each of `arms` (`merge` by name) and those `seeded` runs; what it printed."""
    (folder / "params.yaml").write_text(
        yaml.safe_dump(
            {"base": "b", "models": {"b": {"path": "./base"}}, "arms": {k: {"merge": v} for k, v in arms.items()}}
        )
    )
    runs = [(name, [f"models/{part}" for part in sorted(parts)]) for name, parts in arms.items()]
    runs += [(f"{name}-s1", [f"models/{part}-s1" for part in sorted(arms[name])]) for name in seeded]
    return python(folder, MERGE, json.dumps(runs))


def content(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern) if path.name != "holdfast.json"}


def test_an_average_has_the_base_s_files_and_type_and_each_seed_its_own(made: Path) -> None:
    arms = {"half": {"one": 0.5}, "soup": {"one": 0.3, "two": 0.2}, "pair": {"one": 0.3, "two": 0.7}}
    said = merge(made, arms, "half")
    assert said.splitlines()[:2] == [
        "merge half: 0.5 one + 0.5 base, 11 tensors",
        "merge soup: 0.3 one + 0.2 two + 0.5 base, 11 tensors",
    ]
    python(made, COMPARE)
    shards = {path.name for path in (made / "base").glob("model*")}
    assert {path.name for path in (made / "models/soup").glob("model*")} == shards
    about = json.loads((made / "models/half-s1/holdfast.json").read_text())
    assert about == {"arm": "half", "training_seed": 1, "base": "./base", "average": {"one": 0.5, "base": 0.5}}
    before, left = content(made / "models/half"), made / "models/.half.99.part"  # as a killed job leaves it
    left.mkdir()
    merge(made, {"half": {"one": 0.5}})
    assert content(made / "models/half") == before
    assert not left.exists()


def test_the_share_0_is_the_base_and_the_share_1_the_arm_to_the_bit(made: Path) -> None:
    merge(made, {"none": {"one": 0}, "all": {"one": 1}, "most": {"one": 0, "two": 1.0}})
    assert content(made / "models/none", "model*") == content(made / "base", "model*")
    assert json.loads((made / "models/none/config.json").read_text())["dtype"] == "bfloat16"
    assert content(made / "models/all") == content(made / "models/one")
    assert content(made / "models/most", "model*") == content(made / "models/two", "model*")


def test_a_tied_output_layer_that_only_one_model_saves_is_left_out(made: Path) -> None:
    shutil.copytree(made / "models/one", made / "models/headed")
    python(made, HEADED)
    assert merge(made, {"tied": {"headed": 0.5}, "half": {"one": 0.5}}).startswith("merge tied: 0.5 headed + 0.5 base")
    assert content(made / "models/tied", "*.safetensors") == content(made / "models/half", "*.safetensors")


def test_models_that_cannot_be_averaged_are_refused_with_file_and_fault(made: Path) -> None:
    names = ("lacking", "longer", "whole_numbers", "torn", "worded", "templated", "adapter", "unsafe", "quantised")
    for name in names:
        shutil.copytree(made / "models/one", made / "models" / name)
    python(made, FAULTY)
    models = made / "models"
    words = json.loads((models / "worded/tokenizer.json").read_text())
    words["added_tokens"].append(words["added_tokens"][0] | {"id": 261, "content": "<|new|>"})
    (models / "worded/tokenizer.json").write_text(json.dumps(words))
    (models / "templated/chat_template.jinja").write_text("{{ messages }}")
    for name in ("adapter", "unsafe"):
        (models / name / "model.safetensors").rename(models / name / "adapter_model.safetensors")
    (models / "adapter/adapter_config.json").write_text("{}")
    config = json.loads((models / "quantised/config.json").read_text())
    (models / "quantised/config.json").write_text(json.dumps(config | {"quantization_config": {"bits": 4}}))
    shard = next(
        path.name for path in sorted((made / "base").glob("*.safetensors")) if b"model.norm.weight" in path.read_bytes()
    )
    said = merge(made, {f"m{number}": {name: 0.5} for number, name in enumerate(names)}).splitlines()
    file, fault = (
        "model.safetensors: the tensor model.norm.weight",
        "an arm can be averaged only with the base model that",
    )
    expected = [
        f"models/lacking: lacks the tensor model.norm.weight, which base has: {fault}",
        f"models/longer/{file} has the shape [65], in base/{shard} it has [64]: {fault}",
        f"models/whole_numbers/{file} is I64, in base/{shard} it is BF16: {fault}",
        "models/torn/model.safetensors: cannot be read (",
        "models/worded/tokenizer.json: the token '<|new|>' is number 261, in ./base it is missing; models with",
        "models/templated/chat_template.jinja: is not the chat template of ./base; models that were trained",
        "models/adapter: is an adapter, not a whole model; set train.merge: true for its arm",
        "models/unsafe: has neither model.safetensors nor model.safetensors.index.json; weights are averaged from",
        "models/quantised/config.json: the model is quantised (quantization_config)",
    ]
    for line, start in zip(said, expected, strict=True):
        assert line.startswith(f"REFUSED {start}"), line
    assert not list(models.glob("m[0-9]*"))
