"""Randomness: named streams from one root seed. No other module draws a random number.

A stream depends on the root seed and its name only, so adding a stream never shifts another, and
a decision about one subject (a batch, a client) is the same however the rest of the run went.
"""

import hashlib
import os
import random
import uuid


class Rng:
    """The root of all streams of one run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, *name: str | int) -> random.Random:
        """A generator for ``name``, always the same for the same seed and name."""
        key = "\x1f".join(str(part) for part in (self.seed, *name))
        return random.Random(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest()))

    def uniform(self, *name: str | int) -> float:
        """One number in [0, 1) for ``name``, without the cost of a generator."""
        key = "\x1f".join(str(part) for part in (self.seed, *name))
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return (int.from_bytes(digest) >> 11) * 2.0**-53

    def hex_id(self, prefix: str, *name: str | int, digits: int = 8) -> str:
        """An id such as ``lb-3d3d4a58`` that follows from the seed and ``name``."""
        digest = hashlib.blake2b(
            "\x1f".join(str(part) for part in (self.seed, prefix, *name)).encode(), digest_size=16
        )
        return prefix + digest.hexdigest()[:digits]


def request_id() -> str:
    """A fresh UUID for ``x-bce-request-id``; names a call, decides nothing."""
    return str(uuid.uuid4())


def entropy_seed() -> int:
    """A seed for a run that was given none; the run prints it so that it can be repeated."""
    return int.from_bytes(os.urandom(4))


def access_token() -> str:
    """A token nobody can guess, for an admin API that is not on loopback."""
    return os.urandom(16).hex()
