"""vLLM and Transformers on a tiny model: they agree, and what users get wrong is said in one line."""

import json
import math
import re
import shutil
import socket
import subprocess

import pytest

from asked import LONG, REQUESTS
from chain import ask_apart
from models import ROOT, tiny_model

pytestmark = pytest.mark.engine


TOLD = [  # how likely an answer is; the second spells the end of its turn, the last fits no context
    {"id": f"told {number}", "messages": [["user", "Say it"], ["assistant", answer]], "answer_logprob": True,
     "sampling": {"temperature": 0.0, "max_tokens": 1}}
    for number, answer in enumerate(["it it it", "it <|end|> not", "so " * 30, LONG])
]  # fmt: skip
SOME_DRAWN = [request for request in REQUESTS if request["id"].startswith("drawn")][::-2]


@pytest.fixture(scope="module", params=["vllm", "transformers"])
def answered(request, tmp_path_factory):
    """Answers by id to REQUESTS, and to some of them alone and in another order, from one process."""
    arguments = {"max_model_len": 256}
    model = {"path": str(tiny_model()), "engine": request.param, "max_failed_share": 0.2, "engine_args": arguments}
    cases = [{"model": model, "requests": [*REQUESTS, *TOLD]}, {"model": model, "requests": SOME_DRAWN}]
    answers = ask_apart(tmp_path_factory.mktemp(request.param), cases)
    return [{row["id"]: row for row in table.iter_rows(named=True)} for table in answers]


@pytest.fixture(scope="module")
def reference():
    """What plain Transformers says to greedy and scored requests, one by one: text, prompt tokens, log-probs."""
    code = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
path, texts = sys.argv[1], sys.argv[2:]
tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path)
found = {}
for text in texts:
    ids = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)["input_ids"]
    out = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=[3, 4], pad_token_id=0)
    logits = model(torch.tensor([ids])).logits[0, -1]
    digits = [tokenizer.convert_tokens_to_ids(d) for d in "12345"]
    said = [i for i in out[0, len(ids):].tolist() if i not in (3, 4)]
    found[text] = [tokenizer.decode(said), len(ids), torch.log_softmax(logits, -1)[digits].tolist()]
print(json.dumps(found))
"""
    texts = [request["id"] for request in REQUESTS if request["id"].startswith(("greedy", "scored"))]
    command = [str(ROOT / "envs" / "in-env"), "inference", "python", "-c", code, str(tiny_model()), *texts]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_an_engine_says_what_the_model_says(answered, reference):
    answers, _ = answered
    for name, (text, tokens, logprobs) in reference.items():
        assert answers[name]["prompt_tokens"] == tokens
        if name.startswith("greedy"):  # vLLM leaves out half a character at the very end
            assert answers[name]["text"].rstrip("\ufffd") == text.rstrip("\ufffd")
        else:
            assert answers[name]["logprobs"] == pytest.approx(logprobs, abs=1e-3)
            assert sum(map(math.exp, answers[name]["logprobs"])) < 1, "raw, not shared out among the five"


def test_an_engine_tells_how_likely_an_answer_is(answered):
    answers, _ = answered
    code = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
path, told = sys.argv[1], json.loads(sys.argv[2])
tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path)
found = []
for asked, answer in told:
    head = tokenizer.apply_chat_template([{"role": "user", "content": asked}], add_generation_prompt=True)["input_ids"]
    plain = [i for part in answer.split("<|end|>") for i in (tokenizer(part)["input_ids"], tokenizer("<")["input_ids"],
             tokenizer("|end|>")["input_ids"])][:-2]
    ids = [i for part in plain for i in part] + [tokenizer.convert_tokens_to_ids("<|end|>")]
    logprobs = torch.log_softmax(model(torch.tensor([head + ids])).logits[0], -1)
    found.append([sum(float(logprobs[len(head) + n - 1, i]) for n, i in enumerate(ids)), len(ids), len(head)])
print(json.dumps(found))
"""
    told = json.dumps([[text for _, text in request["messages"]] for request in TOLD[:3]])
    command = [str(ROOT / "envs" / "in-env"), "inference", "python", "-c", code, str(tiny_model()), told]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for number, (logprob, tokens, before) in enumerate(found):
        row = answers[f"told {number}"]
        assert row["logprobs"] == pytest.approx([logprob], abs=1e-3 * tokens)
        assert (row["output_tokens"], row["prompt_tokens"], row["text"]) == (tokens, before, "")


def test_an_engine_reports_every_row(answered):
    answers, _ = answered
    assert list(answers) == [request["id"] for request in [*REQUESTS, *TOLD]]
    assert {name for name, row in answers.items() if row["error"]} == {LONG, "told 3", "no such token"}
    for request in REQUESTS:
        row = answers[request["id"]]
        if request["id"] == "no such token":
            assert row["error"] == "refused"
        elif row["error"]:
            assert (row["error"], row["finish_reason"]) == ("prompt_too_long", "error")
            assert "do not fit a context of 256" in row["detail"]
        else:
            full = row["output_tokens"] == request["sampling"]["max_tokens"]
            assert row["finish_reason"] == "stop" or (full and row["finish_reason"] == "length")
            assert row["time_s"] > 0
    assert answers["stops"]["finish_reason"] == "stop"
    assert answers["ids"]["prompt_tokens"] == 4


def test_a_text_that_spells_special_tokens_is_no_template(answered):
    answers, _ = answered
    frame = answers["plain"]["prompt_tokens"] - len("plain")
    assert answers["spells <|end|><|start|>user"]["prompt_tokens"] == frame + len("spells <|end|><|start|>user")


def test_neither_order_nor_neighbours_change_an_answer(answered):
    together, alone = answered
    assert len({row["text"] for name, row in together.items() if name.startswith("drawn")}) == 9
    assert len(alone) == 5
    for name, row in alone.items():
        assert row["text"] == together[name]["text"]


def no_template(folder):
    (folder / "chat_template.jinja").unlink()


def cut_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def no_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


FAULTS = {
    "vllm": [
        (no_template, {}, {}, "its tokenizer has no chat template"),
        (cut_weights, {}, {}, "vLLM failed: .*check .*cut_weights and models.tiny.engine_args"),
        (no_tokenizer, {}, {}, "no_tokenizer: its tokenizer cannot be loaded"),
        (
            None,
            {"max_modellen": 5},
            {},
            "engine_args.max_modellen: vLLM has no such argument; did you mean max_model_len",
        ),
        (None, {"max_model_len": "many"}, {}, "vLLM failed: .*max_model_len"),
        (None, {"max_model_len": 100_000}, {}, "vLLM failed: .*max_position_embeddings"),
        (None, {}, {"VLLM_CPU_KVCACHE_SPACE": "4000"}, "out of memory: lower"),
    ],
    "transformers": [
        (no_template, {}, {}, "its tokenizer has no chat template"),
        (cut_weights, {}, {}, "Transformers failed: .*check .*cut_weights"),
        (None, {"dtype": "float17"}, {}, "Transformers failed: .*float17"),
        (None, {"batchsize": 3}, {}, "Transformers failed: .*batchsize"),
    ],
}


@pytest.mark.parametrize("engine", FAULTS)
def test_bad_input_is_one_clear_error(engine, tmp_path):
    cases = []
    for change, arguments, environ, _ in FAULTS[engine]:
        path = tiny_model()
        if change:
            path = tmp_path / change.__name__
            shutil.copytree(tiny_model(), path)
            change(path)
        model = {"path": str(path), "engine": engine, "engine_args": arguments}
        cases.append({"model": model, "requests": REQUESTS[:2], "environ": environ})
    for said, (_, _, _, expected) in zip(ask_apart(tmp_path, cases), FAULTS[engine], strict=True):
        assert isinstance(said, str), expected
        assert re.search(expected, said), said
        assert "\n" not in said


def test_a_model_without_a_template_answers_with_the_users(tmp_path):
    path = shutil.copytree(tiny_model(), tmp_path / "base")
    template = (path / "chat_template.jinja").rename(tmp_path / "mine.jinja")
    given = {"path": str(path), "chat_template": str(template)}
    cases = [
        {"model": {"engine": engine, "engine_args": {"max_model_len": 256}} | model, "requests": REQUESTS[:2]}
        for engine in ("vllm", "transformers")
        for model in (given, {"path": str(tiny_model())})
    ]
    found = ask_apart(tmp_path, cases)
    assert not [said for said in found if isinstance(said, str)]
    for ours, theirs in (found[:2], found[2:]):
        assert ours["text"].to_list() == theirs["text"].to_list()


def test_a_port_that_is_taken_is_passed_over(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        model = {"path": str(tiny_model()), "engine": "vllm"}
        case = {"model": model, "requests": REQUESTS[:2], "environ": {"VLLM_PORT": port, "MASTER_PORT": port}}
        (answers,) = ask_apart(tmp_path, [case])
    assert not isinstance(answers, str), answers
    assert answers["error"].to_list() == [None, None]
