"""Parameters of the evaluation: `evaluate`."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.common.section import Section
from holdfast.inference.params import Sampling

Measures = Annotated[
    Literal["general", "domain"],
    Field(description="the ability that the suite measures, in the report and in `holdfast check`"),
]


class ItemSuite(Section):
    """A suite of your own items, graded by comparing text."""

    kind: Literal["exact", "normalised", "multiple_choice", "regex"] = Field(description="how an answer is graded")
    path: str = Field(
        description="data file with one item a row: item_id, task, cluster, prompt or messages, answer (and choices)"
    )
    measures: Measures = "general"
    max_tokens: int | None = Field(
        None, ge=1, description="longest answer, in tokens; null: that of `evaluate.sampling`"
    )


class JudgeSuite(Section):
    """A suite of your own items, graded from 1 to 5 by a model with a rubric."""

    kind: Literal["judge"] = Field(description="how an answer is graded")
    path: str = Field(description="data file with one item a row: item_id, task, cluster, prompt or messages")
    judge: str = Field(description="the model of `models` that grades; preferably not the one that is fine-tuned")
    rubric: str = Field(description="text file with the rubric, scale 1 to 5")
    pass_score: float = Field(4.0, ge=1, le=5, description="lowest score that counts as correct")
    measures: Measures = "general"
    max_tokens: int | None = Field(
        None, ge=1, description="longest answer, in tokens; null: that of `evaluate.sampling`"
    )


class HarnessSuite(Section):
    """Tasks of EleutherAI's lm-evaluation-harness, run through its Python API."""

    kind: Literal["lm_eval"] = Field(description="how an answer is graded")
    tasks: list[str] = Field(
        min_length=1, description="task or group names of the harness; their items are averaged as one suite"
    )
    include_path: str | None = Field(None, description="folder with task files of your own")
    metric: str | None = Field(
        None, description="name of the metric, or metric,filter; null: acc or exact_match if there, else a task's first"
    )
    num_fewshot: int | None = Field(None, ge=0, description="examples in the prompt; null: the task's own number")
    limit: int | None = Field(None, ge=1, description="only the first items of each task")
    chat: bool = Field(True, description="render prompts with the model's chat template")
    batch_size: int = Field(8, ge=1, description="prompts in one forward pass")
    measures: Measures = "general"


Suite = Annotated[ItemSuite | JudgeSuite | HarnessSuite, Field(discriminator="kind")]


class Evaluate(Section):
    """How the base model and every arm are measured: all with the same settings."""

    sampling: Sampling = Field(
        Sampling(temperature=0.0, max_tokens=64), description="how answers are drawn; greedy by default"
    )
    suites: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Suite] = Field(description="what is measured, by name")
