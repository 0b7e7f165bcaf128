"""The functions of the chapter on auditors and critics, against counting and brute force."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import permutation_test
from seedbook import data, seeds
from seedbook.press import chapter

slug = "gptlens"


@pytest.fixture(scope="module")
def space():
    return chapter.definitions(slug, cells=["world", "roles"])


def run(space, name, **values):
    """Run one experiment cell; give the frames that it saved and the reasons that it gave."""
    saved, skipped = {}, {}

    class Frames:
        save = staticmethod(saved.__setitem__)
        skip = staticmethod(skipped.__setitem__)

    source = next(c for c in chapter.read(slug).cells if c.id == name).source
    exec(compile(source, f"<{slug}: {name}>", "exec"), dict(space, frames=Frames, **values))
    return saved, skipped


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_the_table_adds_up_as_printed_but_for_one_column(space):
    sums = space["HITS"].sum()
    assert space["HITS"].shape == (13, 6)
    assert sums.to_dict() == dict(A=12, R1=7, C1=18, O1=25, Cn=23, On=29)  # printed: 13 for A
    solved = (space["HITS"] > 0).sum()
    assert solved.to_dict() == dict(A=5, R1=6, C1=10, O1=10, Cn=9, On=10)


def test_signflip_against_scipy_and_by_hand(space):
    signs = {tuple(row) for row in space["flips"](4)}
    assert signs == set(itertools.product([-1.0, 1.0], repeat=4))
    d = np.array([0.3, -0.1, 0.5, 0.2, 0, 0.4])
    test = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert space["signflip_p"](d) == pytest.approx(test.pvalue)
    both = space["signflip_p"](np.column_stack([d, np.ones(6)]))
    np.testing.assert_allclose(both, [test.pvalue, 2 / 2**6])
    assert space["signflip_p"](np.zeros(5)) == 1


def test_the_table_cell(space):
    saved, _ = run(space, "table", salmon=False, seed=1)
    table = saved["table"].set_index("contrast")
    np.testing.assert_allclose(
        table.loc["critic", ["estimate", "p"]].astype(float), [11 / 39, 2**-7]
    )
    np.testing.assert_allclose(table.loc["headline", "estimate"], 11 / 39)
    assert (table["null_low"] < 0).all() and (table["null_high"] > 0).all()
    ps = [run(space, "table", salmon=True, seed=i)[0]["table"]["p"] for i in range(60)]
    assert (np.array(ps) <= 0.05).mean() < 0.1  # the salmon's counts have no better method


def test_distinct_answers_are_drawn_one_after_the_other(space):
    q = np.array([0.5, 0.3, 0.15, 0.05])
    many = np.log(np.tile(q, (40_000, 1)))
    mask = space["answers"](many, 2, seeds.rng(3, "answers")).reshape(-1, 4)
    assert (mask.sum(1) == 2).all()
    for pair in itertools.combinations(range(4), 2):
        want = sum(q[a] * q[b] / (1 - q[a]) for a, b in (pair, pair[::-1]))
        assert mask[:, pair].all(1).mean() == pytest.approx(want, abs=0.006)


def test_choose_keeps_to_the_set(space):
    mask = np.array([[[True, False, True]], [[False, True, False]]])
    np.testing.assert_array_equal(space["choose"](mask, np.array([[1, 9, 2]])), [[2], [1]])


def test_best_of_against_enumeration(space):
    q, score, truth, k = np.array([0.4, 0.3, 0.2, 0.1]), np.array([2.0, 7.0, 5.0, 1.0]), 2, 3
    seen = picked = wrong = 0.0
    for drawn in itertools.product(range(4), repeat=k):
        chance, found = math.prod(q[list(drawn)]), set(drawn)
        seen += chance * (truth in found)
        picked += chance * (max(found, key=lambda y: score[y]) == truth)
        wrong += chance * len(found - {truth})
    got = space["best_of"](np.log(q)[None], score[None], np.array([truth]), k)
    np.testing.assert_allclose(got, [seen, picked, wrong])


def loop(ops):
    """The four rules, read aloud."""
    pairs = list(itertools.combinations(range(len(ops)), 2))
    return [
        any((ops[i], ops[j]) == ("CALL", "SUB") for i, j in pairs),
        any(op == "SETOWN" and "ONLYOWN" not in ops[:i] for i, op in enumerate(ops)),
        any(op == "MUL" and "SAFE" not in ops[:i] for i, op in enumerate(ops)),
        any(op == "SEND" and "REQ" not in ops[i:] for i, op in enumerate(ops)),
    ]


def test_bugs_against_a_loop(space):
    code = seeds.rng(4, "code").integers(12, size=(600, 2, 6))
    got = space["bugs_in"](code)
    want = [[loop([space["OPS"][i] for i in f]) for f in contract] for contract in code]
    np.testing.assert_array_equal(got, want)
    assert 0.02 < got.mean((0, 1)).min()


@pytest.mark.parametrize("p_latent", [0, 0.5, 1])
def test_contracts_have_the_labelled_bug_and_perhaps_one_more(space, p_latent):
    rng = seeds.rng(5, "contracts")
    pool = space["draw_pool"](rng, 5)
    code, pair = space["draw_contracts"](rng, pool, 2000, 4, p_latent)
    bugs = space["bugs_in"](code).reshape(2000, -1)
    assert bugs[np.arange(2000), pair].all()
    assert set(bugs.sum(1)) <= {1, 2}
    assert (bugs.sum(1) == 2).mean() == pytest.approx(p_latent, abs=0.04)
    assert np.bincount(pair, minlength=16).min() > 70  # each place, each kind


def test_the_exercise_tells_the_truth(space):
    pool = space["draw_pool"](seeds.rng(6, "pool"), 5)
    audit, verdict, pair, answer = space["exercise"](seeds.rng(6, "x"), pool, 400, 3, 0.5)
    assert audit.shape == (400, 16) and verdict.shape == (400, 7)
    assert (audit[:, -1] == space["AUDIT"]).all() and (verdict[:, 5] == space["VERDICT"]).all()
    real = space["bugs_in"](verdict[:, :5].numpy())
    named = verdict[:, -1].numpy() - space["BUG"]
    np.testing.assert_array_equal(answer - space["NO"], real[np.arange(400), named])
    assert 0.5 < (answer - space["NO"]).double().mean() < 0.7
    labelled = pair.numpy() - space["PAIR"]
    one = audit[:, :15].reshape(400, 3, 5).numpy()[np.arange(400), labelled // 4]
    assert space["bugs_in"](one)[np.arange(400), labelled % 4].all()


def test_opinions_ask_about_the_right_function_and_bug(space):
    """A stand-in model whose words are sums over the tokens it was given."""

    class Model:
        head = torch.nn.Linear(1, 20 + 4 * 3, bias=False, dtype=torch.float64)

        @staticmethod
        def features(ids):
            return (ids.double() * torch.arange(1, ids.shape[1] + 1)).cumsum(1)[..., None]

    code = seeds.rng(7, "code").integers(12, size=(5, 3, 4))
    logits, score = space["opinions"](Model, code)
    assert logits.shape == score.shape == (5, 12)
    weight = Model.head.weight.detach().numpy()[:, 0]
    position = np.arange(1, 14)
    total = (np.append(code[2].ravel(), space["AUDIT"]) * position).sum()
    np.testing.assert_allclose(logits[2], total * weight[space["PAIR"] :])
    asked = [*code[4, 1], space["VERDICT"], space["BUG"] + 3]
    want = (np.array(asked) * position[:6]).sum() * (weight[19] - weight[18])
    np.testing.assert_allclose(score[4, 4 * 1 + 3], want)


def test_play_obeys_the_order_that_logic_demands(space):
    rng = seeds.rng(8, "play")
    logits, truth = rng.normal(0, 2, (3000, 12)), rng.integers(12, size=3000)
    logits[np.arange(3000), truth] += 2
    own = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    perfect = np.eye(12)[truth] + 1e-9 * rng.random((3000, 12))
    hits, mask = space["play"](own, own, perfect, truth, 3, 2, rng)
    assert (mask.sum(-1) == 3).all()
    np.testing.assert_array_equal(hits["C1"], hits["O1"])
    assert not (hits["O1"] & ~hits["On"]).any() and (hits["G"] == hits["G"][0]).all()
    rate = {name: h.mean() for name, h in hits.items()}
    assert rate["R1"] == pytest.approx(rate["O1"] / 3, abs=0.02)
    assert rate["X1"] == pytest.approx(rate["R1"], abs=0.02)  # the critic of another contract
    assert rate["A"] == pytest.approx(np.exp(own[np.arange(3000), truth]).mean(), abs=0.02)
    hits, _ = space["play"](own, own, -perfect, truth, 3, 2, rng)
    assert not hits["C1"].any()  # a critic can be worse than chance


SIZES = dict(n_ops=4, n_functions=3, p_latent=0.5, n_contracts=150, n_seeds=2, d_model=16)
SIZES |= dict(train_steps=10, batch_size=16, temperatures=[0.2, 1.5], n_studies=20, seed=3)
SIZES |= dict(device="cpu", temperature=0.7, critic_noise=0.0, m_answers=3, n_auditors=2)


def test_an_exact_critic_picks_what_an_oracle_would(space):
    values = SIZES | dict(p_latent=0.0, critic="exact", salmon=False)
    models = run(space, "training", **values)[0]["models"]
    np.testing.assert_array_equal(models[["C1", "Cn"]], models[["O1", "On"]])
    np.testing.assert_array_equal(models["area_critic"], 1)


def test_the_salmon_makes_the_critic_guess(space):
    values = SIZES | dict(critic="exact", salmon=True, n_contracts=600)
    saved, _ = run(space, "training", **values)
    models, curves = saved["models"].mean(), saved["curves"].groupby(["temperature", "k"]).mean()
    assert models["area_critic"] == pytest.approx(0.5, abs=0.1)
    assert models["C1"] == pytest.approx(models["R1"], abs=0.05)
    assert curves["seen"][1.5, 1] == pytest.approx(1 / 12, abs=0.04)
    assert set(saved["models"]) == set(
        run(space, "training", **values | {"salmon": False})[0]["models"]
    )


CVE = ["CVE-1-1", "CVE-1-2", "CVE-1-3", "CVE-1-4"]


@pytest.fixture
def mirror(space, tmp_path, monkeypatch):
    """A small list: two of three overflows among the chosen, and one label that errs."""
    words = ["Overflow", "overflow", "x", "y"]
    said = {c: f"An integer {what}" for c, what in zip(CVE, words, strict=True)}
    said |= {f"CVE-2-{i}": "integer overflow" if i < 9 else "typo" for i in range(10)}
    kinds = {CVE[0]: "Integer Overflow", CVE[2]: "Integer Overflow", CVE[3]: "Typo"}
    paths = {name: tmp_path / name for name in ("said", "kinds")}
    paths["said"].write_text(json.dumps(said), encoding="utf-8")
    paths["kinds"].write_text(json.dumps(kinds), encoding="utf-8")

    class Data:
        Missing = data.Missing
        entry = staticmethod(lambda slug, name: name)
        files = staticmethod(lambda listing: paths)
        fetch = staticmethod(lambda listing, path: paths[path])

    return Data


def test_the_mix_reweights_the_gain(space, mirror):
    shares = pd.DataFrame({"Cn": [1, 0.5, 1, 1], "A": [0.5, 0.5, 0, 0.5]})
    values = dict(data=mirror, CVES=CVE, shares=shares, salmon=False, seed=1)
    rows = run(space, "labels", **values)[0]["labels"].set_index("measure")["estimate"]
    assert rows["word_errors"] == 1
    assert rows["overflow_gap"] == pytest.approx(2 / 4 - 9 / 10)
    weighted = 11 / 14 * np.mean([0.5, 0]) + 3 / 14 * np.mean([1, 0.5])
    assert rows["mix_effect"] == pytest.approx(weighted - np.mean([0.5, 0, 1, 0.5]))


def test_offline_the_labels_are_skipped_in_words(space, monkeypatch, tmp_path):
    import pooch

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path))
    monkeypatch.delenv("SEEDBOOK_MIRROR", raising=False)
    shares = pd.DataFrame({"Cn": np.zeros(13), "A": np.zeros(13)})
    saved, skipped = run(space, "labels", shares=shares, salmon=False, seed=1)
    assert saved == {} and list(skipped) == ["labels"]
    assert "SEEDBOOK_MIRROR" in skipped["labels"] and "GPTLens" in skipped["labels"]


def test_the_published_labels_agree_with_the_word(space):
    listing = data.entry(slug, "repository")
    if not data.available(listing):
        pytest.skip("the authors' files are not here; set SEEDBOOK_MIRROR or go online once")
    saved, _ = run(space, "labels", shares=space["HITS"] / 3, salmon=False, seed=1)
    rows = saved["labels"].set_index("measure")["estimate"]
    assert rows["word_errors"] == 0 and rows["overflow_gap"] < -0.1
