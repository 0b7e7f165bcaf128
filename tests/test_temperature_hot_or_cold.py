"""Hot or cold: the chapter's method against closed forms, brute force and simulation."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from seedbook import lm
from seedbook.press import chapter
from tiny import REPOSITORY, llama


@pytest.fixture(scope="module")
def method():
    return chapter.definitions("temperature_hot_or_cold", REPOSITORY)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_logits_after_shared_shots_are_those_of_the_whole_sequence(method):
    tiny = lm.LM(llama(31), None, "tiny")
    shots, pairs = [3, 1, 4, 1, 5], [([9, 2], [6, 5, 3]), ([5], [8]), ([9, 7, 9], [3, 2])]
    found = list(method["answer_logits"](tiny, shots, pairs))
    assert len(found) == len(pairs)
    for (question, answer), (logits, ids) in zip(pairs, found, strict=True):
        assert ids.tolist() == answer
        (whole,) = lm.position_log_probs(tiny, [shots + question + answer])
        start = len(shots) + len(question) - 1
        expected = whole[start : start + len(answer)]
        assert torch.allclose(logits.log_softmax(-1), expected, atol=1e-5)


def test_answer_probabilities_of_all_answers_sum_to_one(method, rng):
    logits = torch.tensor(rng.normal(size=(2, 4)))
    every = torch.tensor(list(itertools.product(range(4), repeat=2)))
    p = method["answer_probability"](logits.expand(16, 2, 4), every, [0.3, 1.0, 2.5])
    assert p.shape == (3, 16)
    assert p.sum(1).numpy() == pytest.approx(1)
    plain = logits.softmax(-1)
    expected = [plain[0, a] * plain[1, b] for a, b in every.tolist()]
    assert p[1].numpy() == pytest.approx(np.array(expected))


def test_answer_probability_agrees_with_sampling_and_has_both_limits(method, rng):
    logits, answer = torch.tensor(rng.normal(size=(3, 5))), torch.tensor([0, 4, 2])
    T, n = 0.7, 20000
    p = method["answer_probability"](logits, answer, [1e-3, T, 1e6]).numpy()
    law = (logits / T).softmax(-1).numpy()
    drawn = np.stack([rng.choice(5, size=n, p=row) for row in law], 1)
    share = (drawn == answer.numpy()).all(1).mean()
    assert abs(share - p[1]) < 4 * np.sqrt(p[1] * (1 - p[1]) / n)
    assert p[0] == float((logits.argmax(-1) == answer).all())
    assert method["answer_probability"](logits, logits.argmax(-1), [1e-3]).item() == 1
    assert p[2] == pytest.approx(5**-3, rel=1e-4)


def test_distinct_is_the_mean_number_of_different_valid_words(method):
    p, k = np.array([0.5, 0.2, 0.3]), 4  # the last one is not valid
    expected = 0.0
    for words in itertools.product(range(3), repeat=k):
        expected += np.prod(p[list(words)]) * len({*words} - {2})
    assert method["distinct"](p[:2], k) == pytest.approx(expected / k)
    assert method["distinct"](np.array([1.0]), 10) == pytest.approx(0.1)  # a cold model


def test_crossing_is_linear_between_places_and_nan_where_nothing_falls(method):
    x = np.array([0.0, 1.0, 2.0, 3.0])
    crossing = method["crossing"]
    assert crossing(x, np.array([0.8, 0.8, 0.2, 0.0]), 0.5) == pytest.approx(1 + 2 / 3)
    assert crossing(x, np.array([0.4, 0.6, 0.3, 0.1]), 0.5) == pytest.approx(2.5)
    assert np.isnan(crossing(x, np.array([1.0, 0.9, 0.8, 0.7]), 0.5))
    assert np.isnan(crossing(x, np.zeros(4), 0.5))


@pytest.mark.parametrize(("n", "vocab"), [(1, 25), (2.5, 49152)])
def test_flat_law_is_where_the_softmax_of_one_margin_has_that_probability(method, n, vocab):
    def missing(T, a):
        return (1 + (vocab - 1) * np.exp(-1 / T)) ** -n - a

    for a in (0.2, 0.5, 0.8):
        assert method["flat_law"](a, n, vocab) == pytest.approx(brentq(missing, 0.01, 2, (a,)))
    logits = torch.zeros(2, 25)
    logits[:, 7] = 3.0
    T = 3 * method["flat_law"](0.4, 2, 25)
    p = method["answer_probability"](logits, torch.tensor([7, 7]), [T])
    assert p.item() == pytest.approx(0.4, abs=1e-5)


def test_ladder_items_are_what_they_say(method, rng):
    items = method["ladder_items"](rng, 300).numpy()
    assert items.shape == (300, 11)
    tasks = {10: lambda x: x, 11: lambda x: x[::-1], 12: sorted}
    assert {*items[:, 0]} == {*tasks}
    for row in items.tolist():
        assert row[6:10] == list(tasks[row[0]](row[1:5]))
        assert row[5] == 8 and row[10] == 9 and max(row[1:5]) < 8


def test_rounding_keeps_few_levels_within_half_a_step(method):
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(1))
    for bits in (2, 4, 8):
        groups, coarse = weight.reshape(-1, 32), method["rounded"](weight, bits).reshape(-1, 32)
        step = groups.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((groups - coarse).abs() <= step / 2 + 1e-6).all()
        assert max(len(row.unique()) for row in coarse) <= 2**bits - 1
    odd = torch.randn(3, 20)
    assert method["rounded"](odd, 8).shape == odd.shape
    assert torch.equal(method["rounded"](torch.zeros(2, 16), 4), torch.zeros(2, 16))
