"""params.yaml is checked whole, before anything runs."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.params.schema import Params
from holdfast.params.validation import validate
from holdfast.params.yaml_versions import plain
from toy_project import ROOT

SHIPPED = (ROOT / "params.yaml").read_text()


def faults(tmp_path: Path, *edits: tuple[str, str]) -> list[str]:
    text = SHIPPED
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        validate(str(path))
    return str(raised.value).replace(f"{path}: ", "").splitlines()


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_shipped_file_is_valid() -> None:
    assert validate().base == "base"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("temperature: 0.5", "temprature: 0.8", "generate.sampling.temprature: no such key; did you mean temperature?"),
        ("kind: normalised}", "kind: exact, mesures: general}", "no such key; did you mean measures?"),
        ("kind: normalised}", "kind: exakt}", "evaluate.suites.general: kind must be one of 'exact', "),
        (
            "method: expected",
            "method: guessed",
            "score.method: must be 'expected' or 'parse' (found 'guessed')",
        ),
        ("samples: 1700", "samples: '1700'", "seed.samples: must be a whole number (found '1700')"),
        ("samples: 1700", "samples: 0", "seed.samples: must be at least 1 (found 0)"),
        ("\narms:", "\narns:", "arns: no such key; did you mean arms?"),
        (
            "\n    scholar: {}",
            "\n    scholr: {}",
            "generate.models: scholr is not defined in models; did you mean scholar?",
        ),
        (
            "rehearsal: 0.83",
            "rehersal: 0.83",
            "arms.rehearsed.sources: rehersal is not defined in sources; did you mean",
        ),
        ("gated: [rehearsed]", "gated: [rehersed]", "report.gated: rehersed is not defined in arms; did you mean"),
        ("selected: {aggregate", "all_scores: {aggregate", "filter.all_scores: the name is reserved"),
        ("  domain_only:", "  summary:", "arms.summary: the name is reserved"),
        ("  domain_only:", "  Domain-Only:", "arms.Domain-Only: is not a valid name: it must match"),
        ("samples: 3", "samples: 0.5", "generate.samples: must be a whole number (found 0.5)"),
        ("temperature: 1.0", "temperature: 9.5", "reconstruct.sampling.temperature: must be at most 5 (found 9.5)"),
        (
            "policy:\n  require: [outputs_may_train]",
            "policy: [x]",
            "policy: must be a section with keys of its own (found a list)",
        ),
        ("mix: {}", "mix:", "mix: must be a section with keys of its own (found null)"),
        ("path: data/sandbox/general.jsonl, ", "", "evaluate.suites.general.path: is missing; add it"),
        (
            "budget: {steps: 160}",
            "budget: {steps: 3, epochs: 1.0}",
            "train.budget: give one of steps, epochs and domain_epochs",
        ),
        ("learning_rate: 0.0023", "learning_rate: 2e-4", "write 0.0002, or quote it if text is meant"),
        (
            "samples: 1700",
            "samples: 1700\n  date: tomorrow",
            "seed.date: must be a date, YYYY-MM-DD (found 'tomorrow')",
        ),
        ("path: models/sandbox/scholar", "path: models/mine", "models.scholar.path: models/mine does not exist"),
        (
            "policy: [outputs_may_train]",
            "policy: []",
            "policy: lacks outputs_may_train, which policy.require asks of all",
        ),
        (
            "  domain:\n    path",
            "  domain:\n    clusters: 9\n    path",
            "sources.domain: clusters has no effect without draw: balanced",
        ),
        (
            "sources:\n",
            "sources:\n  rehearsal: {selection: selected, draw: damage}\n",
            "sources.rehearsal: draw: damage and probe need each other",
        ),
        (
            "sources:\n",
            "sources:\n  rehearsal: {selection: selected, draw: damage, probe: domain_onl}\n",
            "sources.rehearsal.probe: domain_onl is not defined in arms; did you mean domain_only?",
        ),
        (
            "sources:\n",
            "sources:\n  rehearsal: {selection: selected, draw: damage, probe: rehearsed}\n",
            "sources.rehearsal.probe: the mixture of rehearsed is itself drawn by damage (rehearsal)",
        ),
        (
            "mix: {}",
            "mix: {}\npreferences: {selections: [selectd]}",
            "preferences.selections: selectd is not defined in filter; did you mean selected?",
        ),
        (
            "selected: {aggregate: mean, exclude_self: true} # no judge scores its own answers",
            "selected: {judges: []}\npreferences: {selections: [selected]}",
            "preferences.selections: selected has judges: [], so its answers have no scores",
        ),
        (
            "inference: inference",
            "inference: inferrence",
            "environments: there is no package list envs/inferrence.txt; did you mean inference?",
        ),
    ],
)
def test_a_fault_is_named_with_its_key(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert any(fault in line for line in faults(tmp_path, (old, new)))


COMMITTEE = " # committee models, each with its own settings if any\n    base: {}\n    scholar: {}\n    novice: {}"
JUDGES = "\n    base: {}\n    scholar: {}\n    novice: {}\n\nfilter"
DOMAIN_ONLY = "  domain_only:\n    sources: {domain: 1.0}"
REHEARSED = "sources: {rehearsal: 0.83, domain: 0.17}"
SCHOLAR = "path: models/sandbox/scholar\n    engine: vllm"
ENDPOINT = "path: gpt\n    engine: openai"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("mix: {}", "mix: {size_from: tickets}", "arms.rehearsed: nothing sets its size: it has no source 'tickets'"),
        (
            REHEARSED,
            f"{REHEARSED}\n    size_from: public",
            "arms.rehearsed: nothing sets its size: it has no source 'public'",
        ),
        (
            REHEARSED,
            f"{REHEARSED}\n    size_from: domain\n    budget: 10",
            "arms.rehearsed: budget and size_from both set the size; keep one",
        ),
        (SCHOLAR, ENDPOINT, "models.scholar.url: is missing; add the endpoint's address"),
        (
            SCHOLAR,
            f"{ENDPOINT}\n    url: http://here/v1\n    spending_cap: 5.0",
            "models.scholar.spending_cap: needs prices; set models.scholar.rates",
        ),
        (
            "engine_args: {dtype: float32, max_model_len: 256}",
            "engine_args: {dtype: float32, max_model_len: 256, data_parallel_size: 2}",
            "models.base.engine_args.data_parallel_size: vLLM hangs with it when it is not a server; set"
            " models.base.shards, which deals the rows to as many jobs",
        ),
        (
            "engine_args: {dtype: float32, max_model_len: 256}",
            "engine_args: {dtype: float32, max_model_len: 256, tokenizer: ./other}",
            "models.base.engine_args.tokenizer: prompts, mixtures and training use the tokenizer in the base model's"
            " folder; put the tokenizer's files there and remove this key",
        ),
        (
            "path: models/sandbox/base\n    engine: vllm",
            f"{ENDPOINT}\n    url: http://here/v1",
            "base: base is an endpoint",
        ),
        (
            "precision: float32",
            "precision: float32\n  adapter: lora\n  merge: false",
            "train.merge: must be true with an adapter",
        ),
        (COMMITTEE, " {}", "generate.models: is empty"),
        (JUDGES, " {}\n\nfilter", "score.judges: is empty"),
        (
            "\n    general: {path: data/sandbox/general.jsonl, kind: normalised}"
            "\n    domain: {path: data/sandbox/domain.jsonl, kind: normalised, measures: domain}",
            " {}",
            "evaluate.suites: is empty; name at least one",
        ),
        (
            "report:",
            "report:\n  reference: domain_onyl",
            "report.reference: domain_onyl is not defined in arms; did you",
        ),
        ("mix: {}\n", "", "mix: is missing; add it"),
    ],
)
def test_what_a_step_would_refuse_is_refused_before(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert any(line.startswith(fault) for line in faults(tmp_path, (old, new)))


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ("lerning_rate: 0.1", "arms.rehearsed.train.lerning_rate: no such key; did you mean learning_rate?"),
        ("learning_rate: 0.0", "arms.rehearsed.train.learning_rate: must be above 0 (found 0.0)"),
        ("gpus: two", "arms.rehearsed.train.gpus: must be a whole number (found 'two')"),
        ("budget: {steps: 3, epochs: 1.0}", "arms.rehearsed.train.budget: give one of steps, epochs and domain_epochs"),
        ("budget: {stepps: 3}", "arms.rehearsed.train.budget.stepps: no such key; did you mean steps?"),
        ("adapter: lora, merge: false", "arms.rehearsed.train.merge: must be true with an adapter (lora)"),
        ("config: none.yaml", "arms.rehearsed.train.config: none.yaml does not exist"),
        (
            "config: params.yaml, learning_rate: 0.1",
            "arms.rehearsed.train: config is a complete recipe, so learning_rate cannot be set too",
        ),
    ],
)
def test_a_fault_in_an_arm_s_own_training_settings_is_named_with_its_key(tmp_path: Path, own: str, fault: str) -> None:
    found = faults(tmp_path, (REHEARSED, f"{REHEARSED}\n    train: {{{own}}}"))
    assert [line[: len(fault)] for line in found] == [fault]


def test_an_arm_s_own_training_settings_replace_the_shared_ones(tmp_path: Path) -> None:
    own = "{budget: {epochs: 2.0}, learning_rate: 0.1, axolotl: {optimizer: lion}}"
    path = tmp_path / "params.yaml"
    shared = SHIPPED.replace("  checkpoints: 3\n", "  checkpoints: 3\n  axolotl: {weight_decay: 0.1}\n")
    path.write_text(shared.replace(REHEARSED, f"{REHEARSED}\n    train: {own}"))
    params = validate(str(path))
    assert params.training("public") == params.train
    found = params.training("rehearsed")
    assert (found.budget.steps, found.budget.epochs, found.learning_rate) == (None, 2.0, 0.1)
    assert found.axolotl == {"weight_decay": 0.1, "optimizer": "lion"}
    assert found.checkpoints == 3
    path.write_text(SHIPPED.replace(REHEARSED, f"{REHEARSED}\n    train: {{config: params.yaml}}"))
    whole = validate(str(path)).training("rehearsed")
    assert (whole.config, whole.sequence_len) == ("params.yaml", 128)
    assert "learning_rate" not in whole.model_fields_set


def test_the_report_and_its_reference(tmp_path: Path) -> None:
    start = SHIPPED.index("report:\n")
    section_text = SHIPPED[start : SHIPPED.index("\nsandbox:")]
    assert faults(tmp_path, (section_text, "")) == ["report: is missing; add it"]
    renamed = (DOMAIN_ONLY, DOMAIN_ONLY.replace("domain_only", "alone"))
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.replace(*renamed))
    assert "alone" in validate(str(path)).arms, "the reference that nobody named need not be there"
    limit = ("domain_gain: 50.0", "domain_gain: 50.0, domain_shortfall: 3.0")
    assert any(line.startswith("report.reference: domain_only is not") for line in faults(tmp_path, renamed, limit))


def test_a_recipe_of_ones_own_with_an_adapter_is_merged(tmp_path: Path) -> None:
    start = SHIPPED.index("train:\n")
    (tmp_path / "own.yaml").write_text("adapter: qlora\n")
    train = f"train: {{sequence_len: 128, config: {tmp_path}/own.yaml, merge: false}}\n\n"
    found = faults(tmp_path, (SHIPPED[start : SHIPPED.index("evaluate:")], train))
    assert [line.split(",")[0] for line in found] == ["train.merge: must be true with an adapter (qlora)"]


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        ("temperature: 0.5", "temperature: 9"),
        ("aggregate: mean", "aggregate: meen"),
        ("base: base", "base: on"),
    )
    assert [line.split(":")[0] for line in found] == [
        "base",
        "generate.sampling.temperature",
        "filter.selected.aggregate",
    ]


@pytest.mark.parametrize(
    ("written", "repair"),
    [("2e-4", "write 0.0002"), ("1e-7", "write 1.0e-07"), ("yes", "write true"), ("off", "write false"),
     ("010", "write 10"), ("12:30", "write 750"), ("0o10", "write 8")],
)  # fmt: skip
def test_what_the_two_engines_read_differently_is_refused(tmp_path: Path, written: str, repair: str) -> None:
    found = faults(tmp_path, ("random_seed: 0", f"random_seed: {written}"))
    assert found[0].startswith("random_seed: Snakemake reads ")
    assert repair in found[0]


@settings(deadline=None)
@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.booleans()))
def test_the_repair_reads_alike(value: float | bool) -> None:
    import yaml

    text = plain(value)
    one, two = yaml.safe_load(text), YAML(typ="safe", pure=True).load(text)
    assert one == two == value
    assert type(one) is type(two) is type(value)


def test_every_parameter_is_described() -> None:
    schema = Params.model_json_schema()
    for name, part in {"Params": schema, **schema["$defs"]}.items():
        for key, field in part.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key} has no description"


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: [1")
    with pytest.raises(UserError, match="not valid YAML"):
        section.load(str(path))


def test_a_base_without_a_chat_template_needs_one(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "tokenizer_config.json").write_text("{}")
    fault = f"models.base.chat_template: {base} has no chat template; name a Jinja file with one"
    own = ("path: models/sandbox/base", f"path: {base}")
    assert faults(tmp_path, own) == [fault]
    (tmp_path / "mine.jinja").write_text("{{ messages }}")
    given = (own[0], f"{own[1]}\n    chat_template: {tmp_path}/mine.jinja")
    other, found = (
        ("inference: inference", "inference: nothing"),
        ["environments: there is no package list envs/nothing.txt; did you mean training?"],
    )
    assert faults(tmp_path, given, other) == found
    assert faults(tmp_path, (own[0], given[1].replace("mine", "nowhere"))) == [
        f"models.base.chat_template: {tmp_path}/nowhere.jinja does not exist"
    ]
    (base / "chat_template.jinja").write_text("{{ messages }}")
    assert faults(tmp_path, own, other) == found


def test_a_prefix_by_hand_goes_with_nothing_that_the_template_shows(tmp_path: Path) -> None:
    shown = (
        "slices: {a: {tools: data/seed/sandbox/rubric.md, template: {x: true}}, b: {language: en}}\n  system_prompts"
    )
    by_hand = "seed:\n  prefix: {text: 'user:'}\n"
    turns = "reconstruct:\n  multi_turn: {share: 0.5}\n"
    found = faults(tmp_path, ("system_prompts", shown), ("seed:\n", by_hand), ("reconstruct:\n", turns))
    assert [fault.split(": ")[0] for fault in found] == [
        "seed.system_prompts",
        "seed.slices.a.tools",
        "seed.slices.a.template",
        "reconstruct.multi_turn.share",
    ]
    assert all("has no effect, because seed.prefix" in fault for fault in found)
