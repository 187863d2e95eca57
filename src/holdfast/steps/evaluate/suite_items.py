"""suite_items: which texts do the tasks of a harness suite ask? Training data is kept free of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Any

from holdfast.common.errors import UserError
from holdfast.common.files import replacing
from holdfast.common.section import read
from holdfast.common.step import arguments, run
from holdfast.steps.evaluate.harness import foreign_code, task_manager
from holdfast.steps.evaluate.params import HarnessSuite

_FRAMED = 10  # of fewer prompts nobody can tell what is the task's and what the item's


_WORDS = 5  # fewer are no frame that could be taken for an item, nor a question beside the longest field


def prompts(task: Any, doc: Any) -> list[str]:
    """What the harness shows of a document; where the choices stand in place of the question, each of them.

    A task that rates whole texts has no question: then it is the text.
    """
    shown = task.doc_to_text(doc)
    texts = [text for text in (shown if isinstance(shown, list) else [shown]) if isinstance(text, str) and text.strip()]
    if texts:
        return texts
    choices = task.doc_to_choice(doc) if task.config.doc_to_choice is not None else []
    return [text for text in (*choices, task.doc_to_target(doc)) if isinstance(text, str) and text.strip()]


def fields(doc: Any, shown: Iterable[str]) -> list[str]:
    """The document's own texts that are in `shown`: the longest, and the others that are long enough for a question.

    People ask the bare question, while the prompt also has choices or a passage.
    """
    texts = [value.strip() for value in doc.values() if isinstance(value, str)] if isinstance(doc, Mapping) else []
    within = sorted(
        {text for text in texts if text and any(text in prompt for prompt in shown)}, key=lambda t: (-len(t), t)
    )
    return [text for number, text in enumerate(within) if number == 0 or len(text.split()) >= _WORDS]


def unframed(texts: list[str]) -> list[str]:
    """The prompts of one task less the words that all of them begin or end with, where those are many: texts that have
    nothing to do with the task hold them too."""
    if len(texts) < _FRAMED:
        return texts
    words = [text.split() for text in texts]
    start = _frame(words)
    end = _frame([text[start:][::-1] for text in words])
    return [" ".join(text[start : len(text) - end]) for text in words]


def _frame(rows: list[list[str]]) -> int:
    """How many words all rows begin with; 0 where they are few."""
    count = sum(1 for _ in takewhile(lambda words: len(set(words)) == 1, zip(*rows, strict=False)))
    return count if count >= _WORDS else 0


def task_items(name: str, documents: Iterable[tuple[str, list[str], list[str]]]) -> Iterator[dict[str, str]]:
    """Rows item_id, task, prompt of one task, from (item_id, prompts, fields) of its documents.

    A field that all documents share is the task's instruction, no item.
    """
    listed = list(documents)
    shared = set.intersection(*(set(texts) for *_, texts in listed)) if len(listed) >= _FRAMED else set()
    shown = [(item_id, text) for item_id, texts, _ in listed for text in texts]
    bare = zip((item_id for item_id, _ in shown), unframed([text for _, text in shown]), strict=True)
    own = ((item_id, text) for item_id, _, texts in listed for text in texts)
    for item_id, text in (*own, *bare):
        if text and text not in shared:
            yield {"item_id": item_id, "task": name, "prompt": text}


def documents(task: Any, limit: int | None) -> Iterator[tuple[str, list[str], list[str]]]:
    """(item_id, prompts, fields) of the documents that are evaluated; `item_id` as in the evaluation table."""
    from lm_eval.utils import handle_non_serializable, hash_string

    for _, doc in task.doc_iterator(limit=limit):
        text = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
        shown = prompts(task, doc)
        yield hash_string(text)[:16], shown, fields(doc, shown)


def main() -> None:
    args = arguments(__doc__, "suite", "texts")
    suite = read(args.params, f"evaluate.suites.{args.suite}", HarnessSuite)
    manager = task_manager(args.suite, suite)
    with foreign_code(args.suite):
        tasks = manager.load(suite.tasks)["tasks"]
        rows = [row for name, task in sorted(tasks.items()) for row in task_items(name, documents(task, suite.limit))]
    distinct = list({row["prompt"]: row for row in reversed(rows)}.values())[::-1]
    if not distinct:
        raise UserError(f"evaluate.suites.{args.suite}.tasks: no document has a text; leave these tasks out")
    with replacing(args.texts) as aside:
        aside.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in distinct), encoding="utf-8")
    print(f"suite_items {args.suite}: {len(distinct)} texts of {len(tasks)} tasks", flush=True)


if __name__ == "__main__":
    run(main)
