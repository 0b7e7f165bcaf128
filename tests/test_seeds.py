"""Streams are independent by name, whatever the order and whatever else is drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seedbook import seeds

SEEDS = st.none() | st.integers(0, 2**32 - 1)
NAMES = st.text(min_size=1, max_size=30)


@given(SEEDS, NAMES)
def test_a_stream_depends_on_seed_and_name_only(seed, name):
    first = seeds.rng(seed, name).integers(2**62, size=4)
    seeds.rng(seed, name + "'").integers(2**62, size=100)
    assert (seeds.rng(seed, name).integers(2**62, size=4) == first).all()


@given(SEEDS, NAMES, NAMES)
def test_other_names_give_other_streams(seed, a, b):
    same = seeds.rng(seed, a).integers(2**62) == seeds.rng(seed, b).integers(2**62)
    assert same == (a == b)


def test_other_seeds_give_other_streams():
    draws = {int(seeds.rng(s, "draw").integers(2**62)) for s in range(100)}
    assert len(draws) == 100


def test_none_is_seed_zero():
    assert seeds.rng(None, "a").random() == seeds.rng(0, "a").random()


def test_named_streams_are_uncorrelated():
    draws = np.stack([seeds.rng(1, f"holdout {r}").normal(size=4000) for r in range(30)])
    correlation = np.corrcoef(draws)[np.triu_indices(30, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_torch_streams():
    def draw(seed, name):
        return torch.rand(3, generator=seeds.torch(seed, name)).tolist()

    assert draw(3, "a") == draw(3, "a")
    assert draw(3, "a") != draw(3, "b")
    assert draw(3, "a") != draw(4, "a")
    assert seeds.torch(3, "a", torch.device("cpu")).device.type == "cpu"


def test_torch_seeds_use_all_bits():
    states = [seeds.torch(s, "a").initial_seed() for s in range(200)]
    assert len(set(states)) == 200
    assert max(states) > 2**61


def test_a_stream_needs_a_name():
    with pytest.raises(ValueError, match="say what it draws"):
        seeds.rng(0, "")
