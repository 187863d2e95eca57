"""Parameters of the step seed: `seed`."""

import datetime
from typing import Any

from pydantic import Field, field_validator

from holdfast.chat.dates import FIXED_DATE
from holdfast.common.section import Section


class Slice(Section):
    """One part of the instructions, sampled with a prompt of its own: system prompts, tools, template options."""

    share: float = Field(1.0, gt=0, description="share of the samples, relative to the other slices'")
    system_prompts: str | None = Field(
        None, description='JSONL of {"system": string or null, "weight": number}; left out: `seed.system_prompts`'
    )
    language: str | None = Field(
        None, pattern="^[a-z]{2,3}$", description="ISO 639 code; instructions in another language are rejected"
    )
    tools: str | None = Field(None, description="JSON file with a list of tool schemas that the template shows")
    template: dict[str, Any] = Field({}, description="options of the chat template, such as enable_thinking")


class HandPrefix(Section):
    """How a user's turn begins and ends, for a model from whose chat template this cannot be derived."""

    text: str = Field(min_length=1, description="text before the user's text, with its special tokens")
    stops: list[str] = Field([], description="special tokens that end the user's turn")
    stop_text: str | None = Field(None, min_length=1, description="plain text that ends the user's turn")
    assistant: str = Field("", description="what opens the assistant's turn")


class Seed(Section):
    """The prompts from which the base model is sampled, and the number of samples."""

    samples: int = Field(2000, ge=1, description="instructions to draw, before cleaning")
    prefix: HandPrefix | None = Field(None, description="the pre-query prefix by hand; null: from the chat template")
    system_prompts: str | None = Field(
        None, description='JSONL of {"system": string or null, "weight": number}; null: no system message'
    )
    slices: dict[str, Slice] = Field(
        {"general": Slice()}, min_length=1, description="parts of the distribution, each with a share and settings"
    )
    date: str = Field(
        FIXED_DATE, description="the date that templates with a date get when instructions are drawn, YYYY-MM-DD"
    )
    examples: str | None = Field(
        None, description='JSONL of {"instruction": string}, for a base model without a chat template'
    )
    examples_per_prompt: int = Field(4, ge=1, le=50, description="in-context route: examples shown in one prompt")
    example_prompts: int = Field(64, ge=1, description="in-context route: prompts with different examples")

    @property
    def by_template(self) -> list[str]:
        """Keys of the settings that only have an effect through the chat template."""
        shared = ["seed.system_prompts"] if self.system_prompts else []
        own = ("system_prompts", "tools", "template")
        return shared + [f"seed.slices.{n}.{key}" for n, s in self.slices.items() for key in own if getattr(s, key)]

    @field_validator("date")
    @classmethod
    def _is_date(cls, date: str) -> str:
        try:
            datetime.date.fromisoformat(date)
        except ValueError:
            raise ValueError(f"must be a date, YYYY-MM-DD (found {date!r})") from None
        return date
