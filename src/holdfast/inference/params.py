"""Parameters of a model and of sampling from it: `models.<name>`, and the `sampling` of several steps."""

from typing import Any, Literal

from pydantic import Field

from holdfast.common.section import Section, optional, value

_LOCAL = ("models/", "data/", "./", "../", "/")  # how the path of a file begins that is no Hugging Face id


class Sampling(Section):
    """How tokens are drawn."""

    temperature: float = Field(1.0, ge=0, le=5, description="softmax temperature; 0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus: the smallest set of tokens with this probability mass")
    top_k: int | None = Field(None, ge=1, description="only the k likeliest tokens")
    min_p: float | None = Field(
        None, ge=0, le=1, description="only tokens with at least this share of the likeliest one's probability"
    )
    repetition_penalty: float | None = Field(None, gt=0, description="above 1 discourages tokens already used")
    max_tokens: int = Field(512, ge=1, description="length bound, in tokens")


class SamplingOverride(Section):
    """What one model does differently from the step's `sampling`; a key left out keeps the step's value."""

    temperature: float | None = Field(None, ge=0, le=5, description="softmax temperature; 0 is greedy")
    top_p: float | None = Field(
        None, gt=0, le=1, description="nucleus: the smallest set of tokens with this probability mass"
    )
    top_k: int | None = Field(None, ge=1, description="only the k likeliest tokens")
    min_p: float | None = Field(
        None, ge=0, le=1, description="only tokens with at least this share of the likeliest one's probability"
    )
    repetition_penalty: float | None = Field(None, gt=0, description="above 1 discourages tokens already used")
    max_tokens: int | None = Field(None, ge=1, description="length bound, in tokens")

    def over(self, shared: Sampling) -> Sampling:
        """The step's `shared` sampling with this model's overrides."""
        return Sampling.model_validate(shared.model_dump() | self.model_dump(exclude_none=True))


class Rates(Section):
    """What a model costs, for `holdfast plan` and spending caps."""

    input_per_million_tokens: float = Field(0.0, ge=0, description="price of a million prompt tokens, in `currency`")
    output_per_million_tokens: float = Field(0.0, ge=0, description="price of a million generated tokens")
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="ISO 4217 code of the prices' currency")
    rows_per_s: float | None = Field(
        None, gt=0, description="expected rows per second; measured by earlier builds when left out"
    )

    def cost(self, prompt_tokens: float, output_tokens: float) -> float:
        """What so many tokens cost, in the currency of the rates."""
        return (prompt_tokens * self.input_per_million_tokens + output_tokens * self.output_per_million_tokens) / 1e6


class Model(Section):
    """One model: where it is, which engine runs it, and what its licence allows."""

    path: str = Field(description="model folder, Hugging Face id, or the model's name at an OpenAI-compatible endpoint")
    revision: str | None = Field(
        None, description="Hugging Face revision (commit hash) for a model that is not a folder"
    )
    chat_template: str | None = Field(
        None, description="Jinja file of the chat template, for a vllm or transformers model without one of its own"
    )
    engine: Literal["vllm", "openai", "transformers"] = Field("vllm", description="what runs the model")
    engine_args: dict[str, Any] = Field(
        {},
        description="passed on unchanged: arguments of vLLM or from_pretrained; openai: fields of the request",
    )
    gpus: int = Field(0, ge=0, description="GPUs that one job of this model needs")
    shards: int = Field(
        1,
        ge=1,
        description="jobs that share the model's rows in reconstruct, generate, score and (base model) evaluate,"
        " each with `gpus` of its own; tables and journal do not depend on it",
    )
    resources: dict[str, int | str] = Field(
        {},
        description="Snakemake resources of the model's jobs, such as mem_mb, runtime (minutes), cpus_per_task or"
        " slurm_partition; others are the profile's",
    )
    url: str | None = Field(None, description="openai: base address of the endpoint, ending in /v1")
    api_key_env: str | None = Field(None, description="openai: name of the environment variable that holds the key")
    concurrency: int = Field(32, ge=1, description="openai: requests in flight at once")
    requests_per_minute: float | None = Field(None, gt=0, description="openai: at most this many requests a minute")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="openai: at most this many tokens a minute, prompt and output together"
    )
    spending_cap: float | None = Field(
        None,
        gt=0,
        description="openai: a job (one step with this model) stops when it has spent this amount, in the currency of"
        " `rates`; finished rows are kept; each job of a build may spend as much",
    )
    timeout_s: float = Field(120.0, gt=0, description="openai: time-out of one request, in seconds")
    max_failed_share: float = Field(
        0.05, ge=0, le=1, description="a step stops when more than this share of its rows fails"
    )
    rates: Rates = Field(Rates(), description="prices and speed")
    licence: str | None = Field(None, description="SPDX identifier or name")
    policy: list[str] = Field([], description="tags of what the licence allows, compared with `policy.require`")

    @property
    def folder(self) -> str | None:
        """The model's folder if it is one on this machine, by the look of its path; None: a hub id or an endpoint."""
        local = self.engine != "openai" and self.path.startswith(_LOCAL)
        return self.path if local else None

    @property
    def files(self) -> dict[str, str]:
        """Files and folders on this machine that decide the answers, by the key of the model that names them."""
        tokenizer = None if self.engine == "openai" else self.engine_args.get("tokenizer")
        other = tokenizer if str(tokenizer).startswith(_LOCAL) else None
        named = {"path": self.folder, "chat_template": self.chat_template, "engine_args.tokenizer": other}
        return {key: path for key, path in named.items() if path}

    def without_template(self) -> "Model":
        """This model without the user's chat template: `reconstruct` uses what the base model was aligned with."""
        return self.model_copy(update={"chat_template": None})

    def trained(self, folder: str) -> "Model":
        """The model in `folder`, trained from this one, with the same settings: it has a chat template of its own."""
        return self.model_copy(update={"path": folder, "revision": None, "chat_template": None})


def endpoint_faults(name: str, model: Model) -> list[str]:
    """What an endpoint's model lacks in params.yaml, one line each; none for another engine."""
    if model.engine != "openai":
        return []
    priced = model.rates.input_per_million_tokens or model.rates.output_per_million_tokens
    missing = [] if model.url else [f"models.{name}.url: is missing; add the endpoint's address, ending in /v1"]
    if model.spending_cap and not priced:
        missing.append(f"models.{name}.spending_cap: needs prices; set models.{name}.rates")
    return missing


def declared_loading(declared: str) -> dict[str, Any]:
    """Arguments of `load_tokenizer` for the base model: `revision`, `trust_remote_code` and `chat_template`.

    None or false where params.yaml leaves them out.
    """
    base = value("base", "base")  # not declared: it only says which keys are read
    return {
        "revision": optional(declared, f"models.{base}.revision"),
        "trust_remote_code": optional(declared, f"models.{base}.engine_args.trust_remote_code", False),
        "chat_template": optional(declared, f"models.{base}.chat_template"),
    }
