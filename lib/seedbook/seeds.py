"""Random streams that are independent by name.

A chapter has one seed and many streams.  Each stream is named after what it draws, so that adding a
draw to one experiment moves no number of another, and the order of the cells does not matter.

>>> rng(7, "holdout 0").integers(100, size=3)
array([13, 33, 75])
>>> rng(7, "holdout 1").integers(100, size=3)
array([19, 25, 68])
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Generator as TorchGenerator
    from torch import device as TorchDevice


def sequence(seed: int | None, name: str) -> np.random.SeedSequence:
    """Return the seed sequence of one named stream.

    Parameters
    ----------
    seed : int or None
        The chapter's seed, at least 0; None (opened without the press) counts as 0.
    name : str
        What the stream draws.  No two experiments share a name.

    Returns
    -------
    numpy.random.SeedSequence
        Entropy `seed`, spawn key the first 128 bits of SHA-256 of `name` as four 32-bit words.
    """
    if not name:
        raise ValueError("a stream needs a name: say what it draws")
    digest = hashlib.sha256(name.encode()).digest()[:16]
    words = tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4))
    return np.random.SeedSequence(seed or 0, spawn_key=words)


def rng(seed: int | None, name: str) -> np.random.Generator:
    """Return a fresh NumPy generator at the start of one named stream."""
    return np.random.default_rng(sequence(seed, name))


def torch(seed: int | None, name: str, device: str | TorchDevice = "cpu") -> TorchGenerator:
    """Return a fresh torch generator at the start of one named stream.

    Parameters
    ----------
    seed, name
        As for `sequence`.
    device : str or torch.device
        Where the generator draws.  CPU and GPU give different numbers for one seed.
    """
    from torch import Generator

    state = sequence(seed, name).generate_state(1, np.uint64)[0]
    return Generator(device).manual_seed(int(state) >> 1)  # torch takes 63 bits safely
