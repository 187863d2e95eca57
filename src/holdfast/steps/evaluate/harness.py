"""Suites of EleutherAI's lm-evaluation-harness, run through its Python API, item by item into our evaluation table."""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import polars as pl

from holdfast.chat.template import Template, load_tokenizer
from holdfast.chat.training_template import training_template
from holdfast.common.errors import UserError
from holdfast.common.gpus import own_gpus
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.fingerprint import about, fingerprint
from holdfast.inference.journal import Journal
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.steps.evaluate.clusters import document_cluster
from holdfast.steps.evaluate.harness_answers import HarnessAnswers, resumed
from holdfast.steps.evaluate.params import HarnessSuite

Sample = dict[str, Any]


BACKEND = "hf"


PREFERRED = ("acc", "exact_match")


def task_manager(name: str, suite: HarnessSuite) -> Any:
    """The harness's TaskManager for the suite called `name`. Raises UserError for a task that it does not know."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=suite.include_path)
    if unknown := [task for task in suite.tasks if not manager.match_tasks([task])]:
        raise UserError(
            f"evaluate.suites.{name}.tasks: the harness knows no task {unknown[0]!r}; see `lm-eval ls tasks`"
        )
    return manager


@contextmanager
def foreign_code(name: str) -> Iterator[None]:
    """Whatever a task of the suite called `name` raises becomes a UserError; the traceback goes to the log."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # tasks are foreign code and data: anything may come out of them
        traceback.print_exc()
        first = (str(error).strip() or "no message").splitlines()[0]
        raise UserError(f"evaluate.suites.{name}: the harness failed: {type(error).__name__}: {first}") from None


def run_harness(arm: str, model: Model, name: str, suite: HarnessSuite) -> tuple[pl.DataFrame, list[Sample]]:
    """Run the suite called `name` on the arm's `model`, on GPUs of its own if the model needs any; returns its
    evaluation table and the harness's own log, one record for each sample.

    The harness's Transformers backend runs the model, whatever its engine (docs/decisions/evaluation-and-report.md).
    Requests that the model has answered before are answered by its journal.
    Raises UserError for an unknown task or metric, for a model that is only reachable over a network, and for whatever
    fails inside a task (its traceback goes to the log).
    """
    with remembered(arm, model, name, suite) as answers:
        results = evaluated(model, name, suite, answers)
    assert results is not None
    samples = [
        {"suite": name, "task": task, **sample}
        for task, found in sorted(results["samples"].items())
        for sample in found
    ]
    return pl.DataFrame(list(rows(samples, name, suite.metric)), schema=EVALUATIONS), samples


def ask_harness(arm: str, model: Model, name: str, suite: HarnessSuite, shard: Shard) -> pl.DataFrame:
    """Leave the answers to this shard of the suite's requests in the journal; returns their keys (request_key).

    Sampled requests are not among them: the journal keeps no answers to those. Raises UserError as `run_harness`.
    """
    with remembered(arm, model, name, suite, shard) as answers:
        try:
            evaluated(model, name, suite, answers, predict_only=True)
        except Exception:
            if not answers.asked_once:
                raise
            traceback.print_exc()  # a task's metric does not take what stands for the other shards' answers
    return pl.DataFrame({"request_key": sorted(answers.of_shard)}, schema={"request_key": pl.String})


@contextmanager
def remembered(
    arm: str, model: Model, name: str, suite: HarnessSuite, shard: Shard | None = None
) -> Iterator[HarnessAnswers]:
    """The model's answers in its journal, on GPUs of its own if it needs any."""
    if model.engine == "openai":
        raise UserError(f"evaluate.suites.{name}: the harness needs a local model, {model.path} is behind an endpoint")
    with (
        own_gpus(model.gpus),  # before CUDA is started
        Journal(fingerprint(arm, model), about(arm, model)) as journal,
        foreign_code(name),
    ):
        yield HarnessAnswers(journal, [version("lm_eval"), BACKEND, suite.chat], shard)


def evaluated(model: Model, name: str, suite: HarnessSuite, answers: HarnessAnswers, **options: Any) -> Any:
    """The harness's results for the suite called `name`, asking the model only what is not in `answers`."""
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.api.registry import get_model

    manager = task_manager(name, suite)
    settings = loading(model, torch.cuda.is_available())
    if suite.chat:
        settings["tokenizer"] = chat_tokenizer(model)
    lm = get_model(BACKEND).create_from_arg_obj(settings, {"batch_size": suite.batch_size})
    return simple_evaluate(
        model=resumed(lm, answers),
        tasks=suite.tasks,
        num_fewshot=suite.num_fewshot,
        limit=suite.limit,
        apply_chat_template=suite.chat,
        task_manager=manager,
        bootstrap_iters=0,
        **options,
    )


def loading(model: Model, cuda: bool) -> dict[str, Any]:
    """How the harness's Transformers backend loads the model; one that needs several GPUs is spread over them."""
    settings = {
        "pretrained": model.path,
        "dtype": model.engine_args.get("dtype", "auto"),
        "device": "cuda" if cuda else "cpu",
        "trust_remote_code": bool(model.engine_args.get("trust_remote_code")),
    }
    settings |= {"revision": model.revision} if model.revision is not None else {}
    return settings | ({"parallelize": True} if model.gpus > 1 else {})


def chat_tokenizer(model: Model) -> Any:
    """The tokenizer, its template rendering as in all other suites: the harness gives it no date and no parts."""
    trusted = bool(model.engine_args.get("trust_remote_code"))
    tokenizer = load_tokenizer(model.path, model.revision, trust_remote_code=trusted, chat_template=model.chat_template)
    tokenizer.chat_template = training_template(Template(tokenizer)) or tokenizer.chat_template
    return tokenizer


def rows(samples: list[Sample], name: str, metric: str | None) -> Iterator[dict[str, Any]]:
    """One evaluation row for each sample. `metric`: the harness's name, `metric` or `metric,filter`; None picks one.

    Raises UserError when no sample has the metric, or when its values are not between 0 and 1.
    """
    seen: Counter[tuple[str, str]] = Counter()
    wanted, _, chosen_filter = (metric or "").partition(",")
    filters: dict[str, str] = {}
    for sample in samples:
        task = sample["task"]
        if sample["filter"] != filters.setdefault(task, chosen_filter or sample["filter"]):
            continue
        named = wanted or next((m for m in PREFERRED if m in sample["metrics"]), sample["metrics"][0])
        score = sample.get(named)
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise UserError(
                f"evaluate.suites.{name}.metric: {task} has no metric {named!r} from 0 to 1, only {sample['metrics']}"
            )
        item_id = sample["doc_hash"][:16]
        seen[task, item_id] += 1
        again = seen[task, item_id]
        expected, answer = _texts(sample)
        yield {
            "suite": name,
            "task": task,
            "item_id": item_id if again == 1 else f"{item_id}-{again}",
            "cluster": document_cluster(task, sample["doc"], item_id),
            "prompt": str(sample["arguments"][0][0]),
            "expected": expected,
            "answer": answer,
            "score": float(score),
            "correct": score >= 0.5,
            "finish_reason": "stop",
        }
    if not seen:
        raise UserError(f"evaluate.suites.{name}.metric: no task has the filter {chosen_filter!r}")


def _texts(sample: Sample) -> tuple[str, str]:
    """What was expected and what was answered; a likelihood task answers with its likeliest continuation."""
    choices, target = sample["arguments"], sample["target"]
    if len(choices) == 1:
        return str(target), str(sample["filtered_resps"][0])
    likelihoods = [
        response[0] if isinstance(response, list | tuple) else response for response in sample["filtered_resps"]
    ]
    right = choices[target][1] if isinstance(target, int) and target < len(choices) else target
    return str(right).strip(), str(choices[max(range(len(likelihoods)), key=likelihoods.__getitem__)][1]).strip()
