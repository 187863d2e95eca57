"""The dataset card of what is published: the step's card, in the form that the Hugging Face hub accepts."""

import re
from collections.abc import Iterable
from typing import Any

import yaml

# What the hub accepts as `license`; any other value of this key makes it refuse the card.
LICENCES = """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0
    grok2-community h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2
    llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0
    pddl postgresql unknown unlicense wtfpl zlib
"""


def published_card(
    card: str, repository: str, licences: Iterable[str], paths: Iterable[str], loading: str, local: str
) -> str:
    """`card` with the hub's licence keys and the repository's name, and only the names of files at absolute `paths`.

    `loading`: the beginning of the call that loads the files from a folder, with the bracket that ends it or without.
    `local`: which files stay.
    """
    _, head, body = card.split("---\n", 2)
    values = {key: value for key, value in yaml.safe_load(head).items() if key not in ("license", "license_name")}
    top = yaml.safe_dump(licence_keys(sorted(set(licences))) | values, sort_keys=False, allow_unicode=True)
    for path in sorted(filter(lambda path: path.startswith("/"), paths), key=len, reverse=True):
        body = body.replace(path, path.rstrip("/").rsplit("/", 1)[-1])
    body = body.replace(loading, f'load_dataset("{repository}"' + loading[len(loading.rstrip(")")) :])
    return f"---\n{top}---\n{body}\n{local} with the build; not in this repository.\n"


def licence_keys(licences: list[str]) -> dict[str, Any]:
    """`license`, and for a licence that is not in the hub's list also `license_name`, which has to be an identifier."""
    names = [re.sub(r"[^a-z0-9.+]+", "-", licence.lower()).strip("-") for licence in licences]
    if not names:
        return {"license": "unknown"}
    if set(names) <= set(LICENCES.split()):
        return {"license": names[0] if len(names) == 1 else names}
    return {"license": "other", "license_name": "-and-".join(names)}


def front_matter(card: str) -> str:
    """The YAML at the top of the card."""
    return card.split("---\n", 2)[1]
