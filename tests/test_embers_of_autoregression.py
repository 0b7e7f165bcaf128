"""Embers of autoregression: the made-up language, its questions, and the published tables."""

import itertools
import re

import numpy as np
import pandas as pd
import pooch
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import chisquare
from seedbook import data, frames, seeds
from seedbook.press import chapter
from seedbook.transformer import Transformer
from tiny import REPOSITORY

SLUG = "embers_of_autoregression"


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(SLUG, REPOSITORY, cells=("world",))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_rows_are_laws_that_leave_every_letter_possible(method, rng):
    rows = method["language"](9, 0.05, rng)
    assert rows.sum(1) == pytest.approx(1)
    assert rows.min() > 0
    assert rows.max(1).mean() > 0.4  # and yet few letters follow another
    assert method["language"](9, 1e6, rng) == pytest.approx(1 / 9, abs=0.01)


def test_strings_follow_their_rows(method, rng):
    rows = method["language"](4, 0.5, rng)
    strings = method["draw_strings"](7 * rows, 4000, 5, rng)  # weights need not sum to one
    assert chisquare(np.bincount(strings[:, 0], minlength=4)).pvalue > 1e-4
    for letter in range(4):
        at = strings[:, :-1].ravel() == letter
        seen = np.bincount(strings[:, 1:].ravel()[at], minlength=4)
        assert chisquare(seen, rows[letter] * seen.sum()).pvalue > 1e-4
        assert chisquare(seen, rows[letter - 1] * seen.sum()).pvalue < 1e-4


def test_probabilities_of_all_strings_sum_to_one(method, rng):
    rows = method["language"](3, 0.5, rng)
    strings = np.array([*itertools.product(range(3), repeat=4)])
    log_p = method["log_prob"](rows, strings)
    assert np.exp(log_p).sum() == pytest.approx(1)
    a, b, c, d = strings[50]
    assert np.exp(log_p[50]) == pytest.approx(rows[a, b] * rows[b, c] * rows[c, d] / 3)
    assert method["log_prob"](rows, strings.reshape(9, 9, 4)).shape == (9, 9)


def test_bins_are_distinct_strings_in_the_order_of_their_names(method, rng):
    rows = method["language"](8, 0.1, rng)
    bins = method["test_bins"](rows, 40, 6, rng)
    assert [*bins] == ["high", "medium", "low"]
    high, medium, low = (method["log_prob"](rows, strings) for strings in bins.values())
    assert high.min() > low.max()
    assert high.mean() > medium.mean() > low.mean()
    for strings in bins.values():
        assert len(np.unique(strings, axis=0)) == len(strings) == 40


def texts(method, rng, shares, n=4000):
    letters, length = 7, 5
    rows = method["language"](letters, 0.1, rng)
    codes = np.stack([rng.permutation(letters) for _ in range(2)])
    made = method["training_texts"](rows, n, length, codes, shares, rng).numpy()
    assert made.shape == (n, 2 * length + 2)
    assert (made[:, length + 1] == letters).all()
    return rows, codes, made[:, 0] - letters - 1, made[:, 1 : length + 1], made[:, -length:]


def test_without_slips_the_target_answers_the_task(method, rng):
    _, codes, task, source, target = texts(method, rng, (0.25, 0.0, 0.1, 0.0))
    for cipher, encode in itertools.product((0, 1), (False, True)):
        mine = task == 2 * cipher + encode
        assert mine.mean() == pytest.approx((0.75, 0.25)[cipher] / 2, abs=0.03)
        before, after = (source, target) if encode else (target, source)
        assert (codes[cipher][before[mine]] == after[mine]).all()


def test_slips_are_in_the_source_and_prose_in_the_language(method, rng):
    rows, codes, task, source, target = texts(method, rng, (0.0, 0.35, 0.0, 0.3))
    prose, decode = task == -1, task == 0
    assert prose.mean() == pytest.approx(0.3, abs=0.03)
    wrong = source[decode] != codes[0][target[decode]]
    assert wrong.mean() == pytest.approx(0.35 * 6 / 7, abs=0.02)  # a slip may hit the right letter
    log_prob, flat = method["log_prob"], rng.integers(7, size=(999, 5))
    for strings in (source[prose], target[prose], target[decode]):
        assert log_prob(rows, strings).mean() > log_prob(rows, flat).mean() + 3


def test_answers_are_greedy_and_graded_against_the_right_string(method, rng):
    letters, length = 5, 3
    model = Transformer(
        letters + 5, 2 * length + 1, d_model=8, generator=seeds.torch(1, "model"), gain=3.0
    )
    code, strings = rng.permutation(letters), rng.integers(letters, size=(6, length))
    for cipher, encode in ((0, True), (1, False)):
        got, right = method["answer"](model, strings, code, cipher, encode)
        source = strings if encode else code[strings]
        assert (right == (code[strings] if encode else strings)).all()
        for i, row in enumerate(source):
            ids = [letters + 1 + 2 * cipher + encode, *row, letters]
            for _ in range(length):
                with torch.no_grad():
                    ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
            assert got[i].tolist() == ids[-length:]


def test_misprints_are_wrong_where_the_answer_is_and_nowhere_else(method, rng):
    truth = rng.integers(6, size=(50, 4))
    answers = np.where(rng.random((50, 4)) < 0.5, (truth + 1) % 6, truth)
    drawn = method["misprints"](truth, answers, 6, 400, rng)
    assert drawn.shape == (400, 50, 4)
    assert ((drawn != truth) == (answers != truth)).all()
    shift = ((drawn - truth) % 6)[:, answers != truth].ravel()
    assert chisquare(np.bincount(shift, minlength=6)[1:]).pvalue > 1e-4


def test_units_of_a_table_with_three_bins(method):
    correct = np.repeat([1, 0, 1], 100) * (np.arange(300) % 2)
    got = method["by_unit"](pd.DataFrame({"correct": correct}), "rot13dec")
    assert got.groupby("bin")["share"].mean().tolist() == [0.5, 0, 0.5]
    assert (got["n"] == 1).all() and got["unit"].nunique() == 100


def test_ten_acronyms_make_a_unit_and_the_rare_task_is_the_last_bin(method):
    many = pd.DataFrame({"correct": np.arange(5000) < 1000})
    got = method["by_unit"](many, "acronym_varyoutp")
    assert len(got) == 500 and (got["n"] == 10).all()
    assert got.set_index("bin")["share"].groupby("bin").mean().tolist() == [1, 0, 0, 0, 0]
    pair = pd.DataFrame({"correct": np.arange(200) >= 100})  # rot-12 comes first in the file
    got = method["by_unit"](pair, "rot13and12dec").groupby("bin")["share"].mean()
    assert got.tolist() == [1, 0]


def test_a_number_is_counted_with_its_round_neighbour(method):
    index = np.repeat([20, 45, 45, 18, 43, 47], 400)
    correct = np.repeat([1, 1, 0, 0, 1, 0], 400)
    answers = pd.DataFrame({"index": index, "correct": correct})
    got = method["by_unit"](answers, "counting_words_binary").set_index(["bin", "unit"])
    assert got["n"].to_dict() == {(0, 20): 400, (0, 45): 800, (1, 20): 400, (1, 45): 800}
    assert got["share"].to_dict() == {(0, 20): 1, (0, 45): 0.5, (1, 20): 0, (1, 45): 0.5}


def test_slope_is_the_maximum_of_the_likelihood(method, rng):
    names = ["input_logprob", "output_logprob", "input_ntokens", "output_ntokens", "input_nchars"]
    x = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)) * 9 + 4
    z = (x - x.mean(0)) / x.std(0, ddof=1)
    y = (rng.random(400) < 1 / (1 + np.exp(-1.5 * z[:, 1]))).astype(int)
    z = np.column_stack([np.ones(400), z])
    best = minimize(lambda b: np.logaddexp(0, z @ b).sum() - y @ z @ b, np.zeros(6)).x
    answers = pd.DataFrame(x, columns=names).assign(correct=y)
    slope, low, high, n = method["slope_of_output"](answers)
    p = 1 / (1 + np.exp(-z @ best))
    se = np.sqrt(np.linalg.inv(z.T @ (z * (p * (1 - p))[:, None]))[2, 2])
    assert slope == pytest.approx(best[2], rel=1e-3)
    assert (high - low) / 2 == pytest.approx(1.96 * se, rel=1e-3) and n == 400


def test_every_table_that_is_read_is_listed(method):
    listed = data.files(data.entry(SLUG, "tables"), REPOSITORY)
    wanted = {
        f"evaluation/table_{table}_{name}.tsv"
        for table, kind in method["KINDS"].items()
        for model, name in method["MODELS"].items()
        if kind != "reasoning" or model == "GPT-4"
    }
    assert set(listed) == wanted
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in listed.values())


def read_published(method, salmon):
    """Run the cell that reads the tables; frames go where SEEDBOOK_FRAMES says."""
    cell = next(c for c in chapter.read(SLUG, REPOSITORY).cells if c.id == "published")
    exec(cell.source, {**method, "salmon": salmon, "seed": 5})


def test_the_published_numbers_are_the_papers(method, monkeypatch, tmp_path):
    if not data.available(data.entry(SLUG, "tables"), root=REPOSITORY):
        pytest.skip("the authors' tables are not here: set SEEDBOOK_MIRROR, or run the chapter")
    monkeypatch.setenv("SEEDBOOK_FRAMES", str(tmp_path))
    read_published(method, salmon=False)
    table = frames.load("published").query("table == 'rot13dec'")
    right = table.groupby(["model", "bin"])["share"].sum().round().astype(int).unstack()
    assert right.loc["GPT-4"].tolist() == [51, 22, 13]
    assert right.loc["GPT-3.5"].tolist() == [21, 7, 4]
    assert set(right.index) == set(method["MODELS"])
    assert frames.load("slope")["slope"].item() == pytest.approx(1.93, abs=0.01)
    read_published(method, salmon=True)  # the same answers, to other questions
    shuffled = frames.load("published").query("table == 'rot13dec'")
    again = shuffled.groupby(["model", "bin"])["share"].sum().round().astype(int).unstack()
    assert again.sum(axis=1).tolist() == right.sum(axis=1).tolist()
    assert again.loc["GPT-4"].max() - again.loc["GPT-4"].min() < 25


def test_offline_the_tables_are_skipped_in_words(method, monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", no_network)
    monkeypatch.delenv("SEEDBOOK_MIRROR", raising=False)
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEEDBOOK_FRAMES", str(tmp_path / "frames"))
    read_published(method, salmon=False)
    assert not frames.available("published") and not frames.available("slope")
    reason = frames.skipped()["published"]
    assert "SEEDBOOK_MIRROR" in reason and "tommccoy1/embers-of-autoregression" in reason
