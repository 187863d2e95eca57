"""The reconstruct step: the requests it makes, and conversations from a real engine."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from holdfast.chat.prequery import derive
from holdfast.chat.template import Template
from holdfast.common.errors import UserError
from holdfast.common.tables import PROMPTS, SAMPLES
from holdfast.inference.ask import ANSWERS
from holdfast.inference.params import Sampling
from holdfast.steps.reconstruct.__main__ import main
from holdfast.steps.reconstruct.conversations import Conversations
from holdfast.steps.reconstruct.params import MultiTurn
from holdfast.steps.reconstruct.samples import first_turns, requests
from small_tokenizers import tokenizer
from templates import SHAPES

DRAWN = Sampling(temperature=1.0, top_p=0.98, max_tokens=32)


def prompt(name: str, samples: int, **values: Any) -> dict[str, Any]:
    shared = {"prompt_id": name, "kind": "template", "slice": "general", "samples": samples, "boundary": ""}
    shared |= {"prefix_ids": [1, 2], "stop_ids": [3], "marks": ["<|im_end|>"]}
    shared["rendering"] = json.dumps({"options": {}, "date": "2024-03-05"})
    return dict.fromkeys(PROMPTS) | shared | values


def prompts(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PROMPTS)


def test_more_samples_keep_the_requests_of_fewer() -> None:
    few = list(requests(prompts(prompt("a", 3), prompt("b", 2)), DRAWN, 7))
    more = list(requests(prompts(prompt("a", 5), prompt("b", 2)), DRAWN, 7))
    assert len({r.id for r in more}) == len({r.seed for r in more}) == 7
    assert set(few) <= set(more)
    assert {r.seed for r in requests(prompts(prompt("a", 3)), DRAWN, 8)}.isdisjoint(r.seed for r in few)


def answers(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """(id, text, finish_reason) as an engine's answers."""
    return pl.DataFrame(
        [dict.fromkeys(ANSWERS) | {"id": i, "text": t, "finish_reason": f} for i, t, f in rows], schema=ANSWERS
    )


def test_samples_carry_their_system_message() -> None:
    asked = prompts(prompt("a", 1), prompt("b", 2, system="Be brief."))
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    table = first_turns(asked, answers(*((i, f"text of {i}", "stop") for i in ids)))
    assert table.schema == SAMPLES
    assert table["draw"].to_list() == [0, 0, 1]
    assert table["messages"].to_list() == [[], *[[{"role": "system", "content": "Be brief."}]] * 2]


def test_only_sound_turns_are_extended() -> None:
    fast = tokenizer(SHAPES["chatml"])
    asked = prompts(prompt("a", 6), prompt("b", 1, kind="in_context"))
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    texts = [
        ("Hi", "stop"),
        ("", "stop"),
        ("Hi", "length"),
        ("a <|im_end|> b", "stop"),
        (" What is 3 + 4? ", "stop"),
        ("x", "error"),
    ]
    table = first_turns(asked, answers(*((i, *said) for i, said in zip(ids, [*texts, ("Hi", "stop")], strict=True))))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    going_on = talk.unfinished(table, 1)
    assert [row["messages"][-1]["content"] for row in going_on] == ["Hi", "What is 3 + 4?"]
    template = Template(fast)
    for row, request in zip(going_on, talk.ask_answers(going_on), strict=True):
        assert list(request.prompt_ids or ()) == template.ids(template.text(row["messages"], opening=True))
    said = [row | {"messages": [*row["messages"], {"role": "assistant", "content": "Hello."}]} for row in going_on]
    prefix = derive(template, [], [])
    for row, request in zip(said, talk.ask_users(said), strict=True):
        assert request.stop_ids == (3,)
        assert (
            list(request.prompt_ids or ())
            == template.ids(template.text(row["messages"], opening=False)) + prefix.prefix_ids
        )


def test_answers_in_between_are_asked_with_the_user_s_words_where_a_template_takes_parts() -> None:
    fast = tokenizer(SHAPES["parts_only"])
    asked = prompts(prompt("a", 1))
    (request,) = requests(asked, DRAWN, 0)
    table = first_turns(asked, answers((request.id, "What is it?", "stop")))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    (answering,) = talk.ask_answers(talk.unfinished(table, 1))
    assert "What is it?" in fast.decode(list(answering.prompt_ids or ()))


def test_conversations_that_the_template_refuses_are_counted_with_the_reason() -> None:
    fast = tokenizer(SHAPES["gemma"])
    system = prompt("a", 2, system="Be brief.")
    asked = prompts(system)
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    table = first_turns(asked, answers(*((i, "Hi", "stop") for i in ids)))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    rows = talk.unfinished(table, 1)
    assert not list(talk.ask_answers(rows))
    assert not list(talk.ask_users(rows))
    (reason,) = {reason.rpartition(": ")[2] for reason in talk.lost}
    assert (reason, sum(talk.lost.values())) == ("no system role here", 4)


def test_conversations_are_not_to_be_had_from_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prompts(prompt("a", 2, kind="in_context")).write_parquet("prompts.parquet")
    params = {"random_seed": 0, "base": "b", "models": {"b": {"path": "x"}}}
    params["reconstruct"] = {"multi_turn": {"share": 0.1}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    words = ["--params", "random_seed,base,models.b,reconstruct", "--prompts", "prompts.parquet", "--samples", "s"]
    monkeypatch.setattr(sys, "argv", ["reconstruct", *words])
    with pytest.raises(UserError, match=r"reconstruct\.multi_turn\.share: .*set it to 0"):
        main()


def test_the_share_and_number_of_turns_are_drawn_by_row() -> None:
    talk = Conversations(prompts(), None, [], MultiTurn(share=0.3, max_turns=4), DRAWN, 0)
    turns = pl.Series([talk.turns(f"s{k}") for k in range(3000)]).value_counts(name="n").sort("").rows()
    assert [number for number, _ in turns] == [1, 2, 3, 4]
    assert abs(turns[0][1] / 3000 - 0.7) < 0.03
    assert all(abs(count / 3000 - 0.1) < 0.03 for _, count in turns[1:])


def test_answers_in_between_lose_what_their_template_writes_and_nothing_else() -> None:
    fast = tokenizer(SHAPES["llama2"])
    asked = prompts(prompt("a", 6))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    rows = [{"sample_id": sample_id, "prompt_id": "a"} for sample_id in ids]
    texts = [
        (" Yes. ", "stop"),
        ("     def f():", "stop"),
        (" ", "stop"),
        (" cut of", "length"),
        (" a</s> b", "stop"),
        ("No.", "stop"),
    ]
    said = answers(*((i, *text) for i, text in zip(ids, texts, strict=True)))
    assert talk.answers_only(said, rows) == {ids[0]: "Yes.", ids[1]: "    def f():", ids[5]: "No."}
    assert sum(talk.lost.values()) == 3


def test_answers_in_another_order_are_not_taken() -> None:
    asked = prompts(prompt("a", 2))
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    with pytest.raises(AssertionError, match="order"):
        first_turns(asked, answers(*((i, "Hi", "stop") for i in reversed(ids))))
