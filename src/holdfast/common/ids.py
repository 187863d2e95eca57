"""Ids and seeds of rows, from their content."""

from hashlib import blake2b


def _digest(parts: tuple[object, ...]) -> bytes:
    digest = blake2b(digest_size=8)
    for part in parts:
        encoded = str(part).encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()


def row_id(*parts: object) -> str:
    """16 hex digits from a row's content and origin, so the same work has the same id in every build."""
    return _digest(parts).hex()


def row_seed(random_seed: int, *parts: object) -> int:
    """A 31-bit seed for one row: independent of order, shards and other rows."""
    return int.from_bytes(_digest((random_seed, *parts)), "little") & 0x7FFF_FFFF
