"""Clusters of items in a harness suite: questions on one passage are not independent."""

from collections.abc import Mapping
from typing import Any

from holdfast.common.ids import row_id

# fields of harness documents that several questions can share: names of a group, and texts that questions are about
NAMES = (
    "cluster", "group", "group_id", "passage_id", "article_id", "document_id", "paragraph_id", "section_id",
    "story_id", "context_id",
)  # fmt: skip
TEXTS = ("passage", "article", "paragraph", "story", "document", "context")


def document_cluster(task: str, doc: Any, item_id: str) -> str:
    """The cluster of a harness document: by the first field of NAMES or TEXTS that it fills, else the document itself.

    Tasks count names of their own, but questions on one text belong together in whatever task of the suite.
    """
    fields = doc if isinstance(doc, Mapping) else {}
    for name in NAMES:
        if isinstance(fields.get(name), str | int) and str(fields[name]).strip():
            return row_id("cluster", task, name, str(fields[name]))
    for name in TEXTS:
        if isinstance(fields.get(name), str) and fields[name].strip():
            return row_id("cluster", fields[name].strip())
    return item_id
