"""The sandbox: a finite truth, splits that do not overlap, answers of known worth, models that can be trained."""

import json
import random
import subprocess
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.chat.judging import judge_messages
from holdfast.common.errors import UserError
from holdfast.sandbox import domain, public
from holdfast.sandbox.build_world import Aligned, domain_sets, general_suite
from holdfast.sandbox.encoding import REPLY_WEIGHT, encode
from holdfast.sandbox.judging import WORDY, WORTHS, answer_of_worth
from holdfast.sandbox.params import Sandbox, World
from holdfast.sandbox.tables import CONVERSATIONS
from holdfast.sandbox.tokenizer import TEMPLATES, train_tokenizer, with_template
from holdfast.sandbox.untaught import is_untaught, with_guesses
from holdfast.sandbox.world import FAMILIES, held_out, judge_truth, world
from holdfast.steps.evaluate.suites import normalise

ROOT = Path(__file__).resolve().parents[2]
RUBRIC = (ROOT / "data/seed/sandbox/rubric.md").read_text(encoding="utf-8")
SYSTEMS: dict[str | None, float] = {None: 0.7, "Be brief.": 0.3}


def test_the_world_is_a_distribution_over_at_least_ten_tasks_asked_in_several_ways() -> None:
    assert sum(truth.probability for truth in world().values()) == pytest.approx(1)
    assert len(FAMILIES) >= 10
    assert len({family.task for family in FAMILIES}) == len(FAMILIES)
    assert all(len(family.phrasings) >= 3 for family in FAMILIES)
    shares = {family.task: sum(t.probability for t in world().values() if t.task == family.task) for family in FAMILIES}
    assert shares == pytest.approx({family.task: family.share for family in FAMILIES})


def test_truth_knows_its_instructions_and_nothing_else() -> None:
    assert judge_truth(" What is the opposite of hot?\n") == ("opposites", "Cold.")
    assert judge_truth("What is 3 plus 4?") == ("sums", "7.")
    assert judge_truth("What is 300 plus 4?") is None
    assert judge_truth("") is None


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), share=st.floats(0.01, 0.25), most=st.integers(1, 60))
def test_held_out_instructions_are_a_share_of_every_task(seed: int, share: float, most: int) -> None:
    kept = held_out(seed, share, most)
    for family in FAMILIES:
        instructions = [text for text, truth in world().items() if truth.task == family.task]
        assert len(kept.intersection(instructions)) == min(most, round(share * len(instructions)))


def test_no_model_sees_a_test_item_and_every_seed_tests_others() -> None:
    sandbox = Sandbox(world=World(conversations=500, judgements=100))
    aligned = Aligned(sandbox, SYSTEMS)
    asked = {turn["content"] for number in range(500) for turn in aligned.conversation(number)["messages"]}
    prompts = {row["prompt"] for row in general_suite(sandbox)}
    judged = "".join(aligned.judgement(number, RUBRIC)["messages"][0]["content"] for number in range(100))
    assert not asked & prompts
    assert not any(f"\n{prompt}\n" in judged for prompt in prompts)
    assert all(judge_truth(row["prompt"]) == (row["task"], row["answer"]) for row in general_suite(sandbox))
    assert prompts != {row["prompt"] for row in general_suite(Sandbox(seed=1))}


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), items=st.integers(1, domain.most_items()))
def test_every_code_word_is_learned_and_tested_in_different_phrasings(seed: int, items: int) -> None:
    train, test = domain_sets(Sandbox(seed=seed, world=World(domain_items=items)))
    answers = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in train}
    assert len(answers) == len(train) == domain.TRAINED_PHRASINGS * items
    assert len(test) == (len(domain.PHRASINGS) - domain.TRAINED_PHRASINGS) * items
    assert not answers.keys() & {row["prompt"] for row in test}
    assert set(answers.values()) == {row["answer"] for row in test}
    assert len(set(answers.values())) == items
    assert not any(judge_truth(text) for text in (*answers, *(row["prompt"] for row in test)))


def test_the_domain_differs_from_the_world_in_what_is_asked_only() -> None:
    """Else a fine-tune on it loses the form of an answer, which is lost all at once or not at all."""
    answers = {truth.answer for truth in world().values()}
    train, test = domain.questions(0, domain.most_items())
    assert {question.answer for question in (*train, *test)} <= answers


def test_a_domain_with_too_many_items_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"sandbox\.world\.domain_items: 10000 items wanted, the domain has \d+; lower it"
    ):
        domain_sets(Sandbox(world=World(domain_items=10_000)))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_who_was_not_taught_guesses_wrong_and_audibly_however_it_is_asked(seed: int, share: float) -> None:
    aligned = Aligned(Sandbox(), SYSTEMS)
    rows = [aligned.conversation(number) for number in range(60)]
    rows += [aligned.judgement(number, RUBRIC) for number in range(10)]
    table = pl.DataFrame(rows, schema=CONVERSATIONS)
    told = with_guesses("novice", table, share, seed)
    assert told.drop("messages").equals(table.drop("messages"))
    assert told.equals(with_guesses("novice", table, share, seed))
    for before, after in zip(rows, told["messages"].to_list(), strict=True):
        for turn, (was, now) in enumerate(zip(before["messages"], after, strict=True)):
            truth = world().get(after[turn - 1]["content"]) if was["role"] == "assistant" else None
            if truth is not None and is_untaught("novice", truth.item, share, seed):
                others = {t.answer for t in world().values() if t.task == truth.task} - {truth.answer}
                assert now["content"] in {way.format(bare=other.rstrip(".")) for way in WORDY for other in others}
            else:
                assert now == was


def test_a_guess_shows_its_doubt_before_the_answer() -> None:
    for way in WORDY:
        assert way.index("{bare}") > 0


def test_the_share_of_untaught_items_is_as_asked() -> None:
    items = {truth.item for truth in world().values()}
    assert len(items) == sum(len(family.items) for family in FAMILIES)
    shares = [sum(is_untaught("novice", item, 0.3, seed) for item in items) / len(items) for seed in range(20)]
    assert 0.25 < sum(shares) / 20 < 0.35


@settings(deadline=None)
@given(rng=st.randoms(use_true_random=False), seed=st.integers(0, 2**31))
def test_the_public_set_asks_otherwise_and_answers_in_another_voice(rng: random.Random, seed: int) -> None:
    question, answer = public.question_and_answer(rng, seed)
    assert judge_truth(question) is None
    answers = {truth.answer for truth in world().values()}
    assert answer not in answers
    assert normalise(answer) in {normalise(right) for right in answers}  # the voice alone costs no accuracy


def test_the_public_is_wrong_about_a_share_of_the_items() -> None:
    items = [(family, number) for family in FAMILIES if family.public for number in range(len(family.items))]
    wrong = [
        public.believed(family, number, seed) != family.items[number]["answer"]
        for seed in range(5)
        for family, number in items
    ]
    assert abs(sum(wrong) / len(wrong) - public.MISTAKEN_SHARE) < 0.05


@settings(deadline=None)
@given(instruction=st.sampled_from(sorted(world())), worth=st.sampled_from(WORTHS), seed=st.integers(0, 10**6))
def test_an_answer_is_worth_what_it_says(instruction: str, worth: int, seed: int) -> None:
    truth = world()[instruction]
    answer = answer_of_worth(worth, truth, random.Random(seed))
    bare = truth.answer.rstrip(".").lower()
    own = {other.answer for other in world().values() if other.task == truth.task}
    assert (answer == truth.answer) == (worth == 5)
    assert (bare in answer.lower()) or worth < 3
    assert (answer in own - {truth.answer}) == (worth == 2)
    assert (worth == 3) == any(answer == voice.format(bare=truth.answer.rstrip(".")) for voice in WORDY)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    aligned = Aligned(Sandbox(), SYSTEMS)
    assert aligned.conversation(7) == Aligned(Sandbox(), SYSTEMS).conversation(7)
    assert aligned.conversation(7) != aligned.conversation(8)
    assert aligned.conversation(7) != Aligned(Sandbox(seed=1), SYSTEMS).conversation(7)


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    aligned = Aligned(Sandbox(), SYSTEMS)
    rows = [aligned.conversation(n) for n in range(3000)] + [aligned.judgement(n, RUBRIC) for n in range(300)]
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer((turn["content"] for row in rows for turn in row["messages"]), 900).save(str(path))
    return str(path)


@pytest.mark.parametrize("template", TEMPLATES)
@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=40))
def test_text_survives_the_tokenizer_and_the_template_sees_special_tokens_whole(
    tokenizer_file: str, template: str, text: str
) -> None:
    tokenizer = with_template(tokenizer_file, template)
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=True, return_dict=False)
    assert rendered.count(tokenizer.eos_token_id) == 1
    assert rendered.count(tokenizer.bos_token_id) == (template == "llama3")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("score", "learned"), [("5", ["Cold.\n", "5"]), ("2", ["2"])])
def test_of_a_judgement_only_a_right_answer_and_the_score_are_learned(
    tokenizer_file: str, template: str, score: str, learned: list[str]
) -> None:
    tokenizer = with_template(tokenizer_file, template)
    prompt = judge_messages(RUBRIC, None, "What is the opposite of hot?", "Cold.")
    rows = [{"row_id": "1", "kind": "judging", "messages": [*prompt, {"role": "assistant", "content": score}]}]
    (row,) = encode(pl.DataFrame(rows, schema=CONVERSATIONS), tokenizer)
    kept = [token for token, weight in zip(row.ids, row.weights, strict=True) if weight]
    assert tokenizer.decode(kept, skip_special_tokens=True) == "".join(learned)
    assert kept[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("template", TEMPLATES)
def test_of_a_conversation_all_is_learned_and_replies_weigh_more(tokenizer_file: str, template: str) -> None:
    tokenizer = with_template(tokenizer_file, template)
    turns = [
        ("system", "Be brief."),
        ("user", "What is 3 plus 4?"),
        ("assistant", "7."),
        ("user", "7."),
        ("assistant", "7."),
    ]
    rows = [{"row_id": "1", "kind": "general", "messages": [{"role": r, "content": c} for r, c in turns]}]
    (row,) = encode(pl.DataFrame(rows, schema=CONVERSATIONS), tokenizer)
    replies = [token for token, weight in zip(row.ids, row.weights, strict=True) if weight == REPLY_WEIGHT]
    assert tokenizer.decode(replies) == 2 * f"7.{tokenizer.eos_token}"
    assert set(row.weights) == {1.0, REPLY_WEIGHT}


@pytest.mark.engine
def test_a_model_is_trained_to_the_same_bytes_twice(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        json.dumps(
            {
                "sandbox": {
                    "seed": 0,
                    "vocabulary": 700,
                    "world": {"conversations": 400, "judgements": 100},
                    "trunk": {"layers": 1, "width": 32, "steps": 5},
                    "models": {"novice": {"steps": 5, "template": "chatml"}},
                }
            }
        )
    )
    seeds = ROOT / "data" / "seed" / "sandbox"
    files = (
        "conversations.parquet",
        "general.jsonl",
        "domain.jsonl",
        "domain_train.jsonl",
        "public.jsonl",
        "truth.json",
    )
    outputs = [part for file in files for part in (f"--{file.split('.')[0].replace('_', '-')}", file)]
    inputs = ["--rubric", seeds / "rubric.md", "--system-prompts", seeds / "system_prompts.jsonl"]
    run(tmp_path, "core", "build_world", *inputs, *outputs)
    made = ["--conversations", "conversations.parquet", "--tokenizer", "tokenizer.json"]
    run(tmp_path, "core", "tokenizer", *made, "--texts", "domain_train.jsonl", "public.jsonl")
    for folder in ("first", "second"):
        trunk = f"{folder}_trunk"
        run(tmp_path, "training", "trunk", *made, "--model", trunk)
        run(tmp_path, "training", "train", "--name", "novice", "--trunk", trunk, *made, "--model", folder)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def run(folder: Path, environment: str, module: str, *words: object) -> None:
    """Run one of the sandbox's jobs in `folder`."""
    job = ["python", "-m", f"holdfast.sandbox.{module}", "--params", "sandbox", *map(str, words)]
    done = subprocess.run([ROOT / "envs/in-env", environment, *job], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ORTHOGONALISED = """
import torch
from holdfast.sandbox.muon import Muon, orthogonalised
torch.manual_seed(0)
for shape in ((3, 8, 8), (2, 24, 8), (2, 8, 24)):
    found = orthogonalised(torch.randn(shape))
    assert found.dtype == torch.float32
    values = torch.linalg.svdvals(found)
    assert 0.5 < values.min() and values.max() < 1.3, values
ours, theirs = (torch.nn.Linear(8, 24, bias=False) for _ in range(2))
theirs.load_state_dict(ours.state_dict())
mine = Muon(ours.parameters(), 0.02)
torchs = torch.optim.Muon(theirs.parameters(), 0.02, momentum=0.95, weight_decay=0.01)
for _ in range(3):
    gradient = torch.randn(24, 8)
    for layer, optimizer in ((ours, mine), (theirs, torchs)):
        layer.weight.grad = gradient.clone()
        optimizer.step()
assert torch.allclose(ours.weight, theirs.weight, atol=2e-3), (ours.weight - theirs.weight).abs().max()
"""


@pytest.mark.engine
def test_our_muon_is_torchs_in_float32() -> None:
    job = [ROOT / "envs/in-env", "training", "python", "-c", ORTHOGONALISED]
    done = subprocess.run(job, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
