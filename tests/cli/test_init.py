"""`holdfast init` looks at a model and at data, and writes a params.yaml that is valid and gives its reasons."""

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.init_choices import adapter, power_of_two, tensor_parallel
from holdfast.cli.init_looks import BaseModel
from holdfast.common.data_files import read_rows
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import ROOT

LINKED = ("Snakefile", "rules", "src", "envs", "docs", "examples", "data/seed")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a model's folder and a CSV file of the user's own."""
    for name in LINKED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "params.yaml").write_text("random_seed: 5 # mine\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    model(tmp_path / "mine", "chatml")
    rows = "".join(f'"What is the number of part {n}?",P{n:04}\n' for n in range(60))
    (tmp_path / "mine.csv").write_text(f"question,answer\n{rows}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model(folder: Path, shape: str, template: bool = True) -> None:
    """A model's folder: tokenizer, configuration, card; weights of 2,000 bytes."""
    made = tokenizer(SHAPES[shape])
    if not template:
        made.chat_template = None
    made.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048, "dtype": "float32"}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (folder / "model.safetensors").write_bytes(b"0" * 2000)


def init(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast.cli", "init", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, timeout=120,
    )  # fmt: skip


def written() -> dict[str, Any]:
    return yaml.safe_load(Path("params.yaml").read_text())


def test_a_model_and_a_csv_are_enough(project: Path) -> None:
    done = init("--base", "./mine", "--domain", "mine.csv", "--gpus", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    values = written()
    assert values["models"]["base"] | {"engine_args": 0} == {
        "path": "./mine", "licence": "apache-2.0", "engine_args": 0
    }  # fmt: skip
    assert values["train"]["sequence_len"] >= 64
    trained, tested = (list(read_rows(f"data/own/domain_{part}.jsonl")) for part in ("train", "suite"))
    assert (len(trained), len(tested)) == (54, 6)
    asked = {row["messages"][0]["content"] for _, row in trained}
    assert not asked & {row["messages"][0]["content"] for _, row in tested}, "nothing is tested that was trained on"
    assert values["evaluate"]["suites"]["domain"]["kind"] == "normalised"
    assert "General ability is not measured yet" in Path("params.yaml").read_text()
    assert "reconstruct" in done.stdout, "the plan"
    assert "holdfast pilot" in done.stdout
    assert Path("params.yaml.old").read_text() == "random_seed: 5 # mine\n"
    first = Path("params.yaml").read_text()
    assert init("--base", "./mine", "--domain", "mine.csv", "--gpus", "0").returncode == 0
    assert Path("params.yaml").read_text() == first, "the same choices again"
    assert Path("params.yaml.old").read_text() == "random_seed: 5 # mine\n"
    assert Path("params.yaml.old2").read_text() == first


def test_columns_of_other_names_are_told_by_flags(project: Path) -> None:
    rows = "".join(f'{n};"Hello,\n\npart ""{n}""?";P{n:04}\n' for n in range(60))
    Path("odd.csv").write_text(f"\ufeffNr.;Ask (you);Réponse\n{rows}")
    done = init("--base", "./mine", "--domain", "odd.csv", "--gpus", "0")
    assert done.returncode == 1
    flags = ["--column", "question=Ask (you)", "--column", "answer=Réponse"]
    assert f"which, for example {shlex.join(flags)}" in done.stderr
    done = init("--base", "./mine", "--domain", "odd.csv", "--gpus", "0", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 rows" in Path("params.yaml").read_text()
    assert 'Hello,\n\npart "3"?' in {
        row["messages"][0]["content"] for _, row in read_rows("data/own/domain_train.jsonl")
    }
    Path("items.jsonl").write_text('{"prompt": "Part 7?", "answer": "P0007"}\n')
    assert init("--base", "./mine", "--domain", "odd.csv", "--suite", "domain=items.jsonl", *flags).returncode == 0
    assert written()["sources"]["domain"]["columns"] == {"question": "Ask (you)", "answer": "Réponse"}
    done = init("--base", "./mine", "--domain", "odd.csv", "--column", "query=Ask (you)")
    assert "--column query=Ask (you): NAME=YOURS is expected, where NAME is one of messages, " in done.stderr


def test_a_folder_s_name_alone_is_the_folder(project: Path) -> None:
    model(project / "other", "chatml")
    done = init("--base", "mine", "--domain", "mine.csv", "--committee", "other=other", "--gpus", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: found["path"] for name, found in written()["models"].items()} == {
        "base": "./mine", "other": "./other"
    }  # fmt: skip


def test_rehearsal_rows_fit_into_the_training_context(project: Path) -> None:
    """Short domain rows do not cut off the answers that are mixed with them: `mix` rejects what is longer."""
    done = init("--base", "./mine", "--domain", "mine.csv", "--gpus", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    values = written()
    sampled = values["reconstruct"]["sampling"]["max_tokens"] + values["generate"]["sampling"]["max_tokens"]
    assert values["train"]["sequence_len"] >= sampled


def test_a_model_without_a_template_gets_one_and_examples(project: Path) -> None:
    model(project / "plain", "chatml", template=False)
    done = init("--base", "./plain", "--domain", "mine.csv", "--samples", "100", "--gpus", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    values = written()
    assert values["seed"] == {"samples": 100, "examples": "examples/data/instructions.jsonl"}
    assert Path(values["models"]["base"]["chat_template"]).exists()


def test_gpus_a_committee_and_suites(project: Path) -> None:
    Path("facts.jsonl").write_text(json.dumps({"prompt": "Capital of Peru?", "answer": "Lima"}) + "\n")
    done = init(
        *("--base", "./mine", "--domain", "mine.csv", "--gpus", "8", "--gpu-memory-gb", "80"),
        *("--committee", "big=some-model@https://api.example.com/v1", "--suite", "facts=facts.jsonl"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    values = written()
    assert values["environments"] == {"inference": "inference-gpu", "training": "training-gpu"}
    assert values["models"]["base"]["gpus"] == 1
    assert values["models"]["base"]["shards"] == 8
    assert values["models"]["big"]["api_key_env"] == "BIG_API_KEY"
    assert values["score"]["method"] == "parse"
    assert set(values["score"]["judges"]) == set(values["generate"]["models"]) == {"base", "big"}
    assert values["evaluate"]["suites"]["facts"]["measures"] == "general"
    assert "General ability is not measured" not in Path("params.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--domain", "mine.csv"], "error: --base is missing"),
        (["--base", "./mine"], "error: --domain is missing"),
        (["--base", "./nowhere", "--domain", "mine.csv"], "error: ./nowhere: no such folder"),
        (["--base", "./mine", "--domain", "none.csv"], "error: none.csv: does not exist"),
        (["--base", "./mine", "--domain", "odd.csv"], "odd.csv line 2: columns a, b have no known shape"),
        (["--base", "./mine", "--domain", "mine.csv", "--suite", "x=bad.jsonl"], "bad.jsonl line 1"),
        (["--base", "./mine", "--domain", "mine.csv", "--committee", "Big Model"], "NAME=… is expected"),
    ],
)
def test_faults_are_named_and_nothing_is_written(project: Path, words: list[str], message: str) -> None:
    Path("odd.csv").write_text("a,b\n1,2\n")
    Path("bad.jsonl").write_text('{"answer": "x"}\n')
    done = init(*words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("params.yaml").read_text() == "random_seed: 5 # mine\n"
    assert not Path("data/own").exists()


def test_it_asks_at_a_terminal(project: Path) -> None:
    pid, fd = pty.fork()
    if not pid:
        os.environ["PYTHONPATH"] = str(ROOT / "src")
        os.execv(sys.executable, [sys.executable, "-m", "holdfast.cli", "init", "--gpus", "0"])
    said = b""
    for question, answer in ((b"Model to fine-tune", b"./mine\n"), (b"File with your data", b"mine.csv\n")):
        while question not in said:
            said += os.read(fd, 4096)
        os.write(fd, answer)
    try:
        while True:
            said += os.read(fd, 4096)
    except OSError:  # closed at the other end
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said.decode()
    assert written()["models"]["base"]["path"] == "./mine"


def sized(weights_gb: float) -> BaseModel:
    return BaseModel("m", weights_gb, 4096, True, "", None, None)


@given(st.floats(0.1, 500), st.floats(8, 200), st.floats(8, 200))
def test_more_memory_never_trains_fewer_weights(weights_gb: float, one: float, other: float) -> None:
    order = [None, "lora", "qlora"]
    less, more = (order.index(adapter(sized(weights_gb), 1, memory).value) for memory in sorted((one, other)))
    assert more <= less


@given(st.floats(0.1, 500), st.integers(1, 16), st.floats(8, 200))
def test_a_model_is_spread_over_the_gpus_at_hand_at_most(weights_gb: float, gpus: int, memory_gb: float) -> None:
    parts = tensor_parallel(sized(weights_gb), gpus, memory_gb).value
    assert 1 <= parts <= gpus
    assert parts == power_of_two(parts)
    if parts * 2 <= gpus:
        assert weights_gb * 1.2 + 2 <= memory_gb * 0.9 * parts
