"""Parameters that have moved or been renamed: old key -> new key; `*` stands for a name of the user's."""

RENAMED = {
    "reconstruct.samples": "seed.samples",
    "reconstruct.prefix": "seed.prefix",
    "reconstruct.clean": "clean",
    "score.reading": "score.method",
    "mix.whole": "mix.size_from",
    "arms.*.whole": "arms.*.size_from",
    "arms.*.by": "arms.*.unit",
    "sandbox.models.*.unsure": "sandbox.models.*.untaught_share",
    "sandbox.models.*.layers": "sandbox.trunk.layers",
    "sandbox.models.*.width": "sandbox.trunk.width",
    "sandbox.world.domain_rows": "sandbox.world.domain_items",
    "sandbox.world.domain_test_rows": "sandbox.world.domain_items",
}


def new_name(key: str) -> str | None:
    """The present name of a dotted key that was renamed, else None."""
    words = key.split(".")
    for old, new in RENAMED.items():
        pattern = old.split(".")
        if len(pattern) == len(words) and all(part in ("*", word) for part, word in zip(pattern, words, strict=True)):
            names = (word for part, word in zip(pattern, words, strict=True) if part == "*")
            return ".".join(next(names) if part == "*" else part for part in new.split("."))
    return None
