"""What the licences of models and data must allow: `policy`, compared with the `policy` tags of models and sources."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from pydantic import Field

from holdfast.common.section import Section


class Policy(Section):
    """The tags that every model and source in use has to carry."""

    require: list[str] = Field([], description="tags, for example outputs_may_train; empty: nothing is checked")


class Tagged(Protocol):
    """A model or a source."""

    @property
    def licence(self) -> str | None: ...
    @property
    def policy(self) -> list[str]: ...


def check_policy(
    policy: Policy,
    base: str,
    generators: Iterable[str],
    judges: Iterable[str],
    models: Mapping[str, Tagged],
    used_sources: Iterable[str],
    sources: Mapping[str, Tagged],
) -> list[str]:
    """One message for each model or source in use that lacks a required tag; no message: the build may run.

    Names that are not defined are passed over: they are another check's fault to report.
    """
    parts: dict[str, list[str]] = {}
    for role, names in (("base", [base]), ("generator", generators), ("judge", judges)):
        for name in names:
            parts.setdefault(name, []).append(role)
    used = [(f"models.{name}", models[name], ", ".join(roles)) for name, roles in parts.items() if name in models]
    used += [(f"sources.{name}", sources[name], "source") for name in sorted(set(used_sources)) if name in sources]
    faults = []
    for key, tagged, role in used:
        if missing := [tag for tag in policy.require if tag not in tagged.policy]:
            faults.append(
                f"{key}.policy: lacks {', '.join(missing)}, which policy.require asks of all models and sources in"
                f" use (used as: {role}; licence: {tagged.licence or 'not given'}); add it if the licence allows that,"
                " or use something else"
            )
    return faults
