"""Stochastic CHAOS: exact answer laws against plain passes, and the rest against enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch
from seedbook import decoding, lm, training
from seedbook.press import catalog, chapter
from tiny import llama

SLUG = "stochastic_chaos"
LETTERS = "0123456789+=? Q:A\n"


class Characters:
    """A tokenizer with one token a character."""

    eos_token_id = None

    def __call__(self, text, add_special_tokens=False):
        return {"input_ids": [LETTERS.index(c) for c in text]}


class Pairs(Characters):
    """A tokenizer that has a token of its own for 42."""

    def __call__(self, text, add_special_tokens=False):
        if text == "42":
            return {"input_ids": [len(LETTERS)]}
        return super().__call__(text)


@pytest.fixture(scope="module")
def method():
    """What `setup` and `method` define, and the functions of the other experiment cells."""
    cells = [cell.id for cell in chapter.read(SLUG).stage("experiment")[1:]]
    space = chapter.definitions(SLUG, cells=cells)
    space |= {"temperature": 1.0, "k": 8, "salmon": False}  # the functions' own globals
    return space


def model_with(tokenizer):
    return lm.LM(llama(len(LETTERS) + 1), tokenizer, "tiny")


@pytest.fixture(scope="module")
def tiny_model():
    return model_with(Characters())


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(SLUG), catalog.load().chapter(SLUG)) == []


@pytest.mark.parametrize("T", [0.5, 1.0, 2.0])
def test_law_of_two_digits_is_that_of_eleven_plain_passes(method, tiny_model, T):
    shots, questions = "1 + 2 = 3\n", ["4 + 5 = ", "9 + 0 = "]
    ids = [tiny_model.encode(q) for q in questions]
    rules = [decoding.temperature(T), decoding.greedy]
    laws = method["digit_laws"](tiny_model, shots, ids, rules)
    assert laws.shape == (2, 2, 101)
    assert laws.sum(-1) == pytest.approx(1)
    for i, question in enumerate(questions):
        first = lm.next_log_probs(tiny_model, [shots + question])[0]
        for a, b in itertools.product(range(10), range(0, 10, 3)):
            second = lm.next_log_probs(tiny_model, [shots + question + str(a)])[0]
            p = (first / T).softmax(-1)[a] * (second / T).softmax(-1)[b]
            assert laws[0, i, 10 * a + b] == pytest.approx(float(p), abs=1e-6)
            greedy = first.argmax() == a and second.argmax() == b
            assert laws[1, i, 10 * a + b] == pytest.approx(float(greedy))


def test_batched_questions_keep_their_own_laws(method, tiny_model, monkeypatch):
    monkeypatch.setitem(method, "language_model", tiny_model)
    pairs, rules = [(3, 8), (12, 4), (7, 5), (20, 11)], [decoding.ancestral]
    together = method["read_sums"]("Q: {a} + {b}? A: ", pairs, rules)
    for i, pair in enumerate(pairs):
        alone = method["read_sums"]("Q: {a} + {b}? A: ", [pair], rules)
        assert together[:, i] == pytest.approx(alone[:, 0], abs=1e-6)
    assert np.abs(together[0, 0] - together[0, 1]).max() > 1e-4


def test_a_model_that_merges_digits_is_refused_in_one_sentence(method):
    with pytest.raises(ValueError, match="merges digits into one token: choose another"):
        method["digit_laws"](model_with(Pairs()), "1+1", [[1, 2]], [decoding.greedy])


def test_coverage_is_the_union_over_samples(method):
    p = np.array([0.0, 1e-12, 0.2, 0.7, 1.0])
    assert method["coverage"](p, 1) == pytest.approx(p)
    assert method["coverage"](p, 5) == pytest.approx([0, 5e-12, 1 - 0.8**5, 1 - 0.3**5, 1])
    assert (method["coverage"](p, 5) >= p - 1e-12).all()  # for every distribution


def test_majority_against_all_samples_of_a_small_law(method):
    law, k = np.array([0.5, 0.3, 0.2]), 4
    exact = np.zeros(3)
    for draws in itertools.product(range(3), repeat=k):
        votes = np.bincount(draws, minlength=3)
        winners = votes == votes.max()
        exact += law[list(draws)].prod() * winners / winners.sum()  # ties at random
    rng, polls = np.random.default_rng(0), 40000
    for right in range(3):
        share = method["majority"](rng, law[None], right, k, polls)[0]
        assert share == pytest.approx(exact[right], abs=4 * math.sqrt(0.25 / polls))


def test_width_of_a_logistic_curve(method):
    steps = np.arange(5, 2000, 5)
    sigma, middle = 0.08, 2.2
    accuracy = 1 / (1 + np.exp(-(np.log10(steps) - middle) / sigma))
    expected = 2 * math.log(9) * sigma
    assert method["width"](steps, accuracy) == pytest.approx(expected, rel=0.02)
    assert method["width"](steps, 0.6 * accuracy) == pytest.approx(expected, rel=0.02)
    assert math.isnan(method["width"](steps, np.zeros(len(steps))))


def test_exact_match_is_the_share_of_sampled_and_greedy_strings(method):
    generator = torch.Generator().manual_seed(1)
    inputs, targets = method["reversal"](3, generator)
    x = inputs[:, :5]
    assert (targets[:, 5:] == x.flip(1)).all()
    assert (targets[:, :5] == -100).all()
    assert (inputs[:, 6:] == targets[:, 5:-1]).all()  # teacher forcing
    right = targets[:, 5:]
    logits = torch.randn(3, 10, 11, generator=generator)
    logits[0, 5:] += 9 * torch.nn.functional.one_hot(right[0], 11)  # the first is known
    result = method["exact_match"](lambda ids: logits, inputs, targets)
    p = logits[:, 5:].double().softmax(-1).gather(-1, right[..., None])[..., 0].prod(-1)
    greedy = (logits[:, 5:].argmax(-1) == right).all(-1).double()
    assert result["greedy"] == pytest.approx(float(greedy.mean())) == pytest.approx(1 / 3)
    assert result["one"] == pytest.approx(float(p.mean()))
    assert result["many"] == pytest.approx(float((1 - (1 - p) ** 8).mean()))


def test_a_few_updates_lower_the_loss_on_reversals(method):
    generator = torch.Generator().manual_seed(2)
    net = method["Transformer"](11, 10, d_model=32, generator=generator)
    history, _ = training.train(
        net, lambda step: method["reversal"](32, generator), 40, lr=3e-3, schedule="constant"
    )
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] - 0.3
