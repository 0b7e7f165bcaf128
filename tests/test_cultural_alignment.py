"""Cultural alignment: the chapter's method against libraries, loops and plain readings."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from seedbook import lm
from seedbook.press import chapter
from tiny import REPOSITORY, llama


@pytest.fixture(scope="module")
def method():
    cells = ("exchange", "clusters", "people")
    return chapter.definitions("cultural_alignment", REPOSITORY, cells)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def letters(text, add_special_tokens=False):
    return {"input_ids": [ord(c) % 89 for c in text]}


def template(chat, tokenize, add_generation_prompt):
    assert add_generation_prompt and not tokenize
    return "".join(f"<{m['role']}>{m['content']}" for m in chat) + "<answer>"


@pytest.fixture(scope="module")
def reader():
    """A random model whose tokens are letters."""
    tokenizer = type("Letters", (), {"apply_chat_template": staticmethod(template)})
    tokenizer.__call__ = lambda self, text, add_special_tokens: letters(text)
    return lm.LM(llama(89), tokenizer(), "tiny")


def test_branches_are_what_separate_readings_give(method, reader):
    prompts = [[5, 6, 7, 8], [5, 6, 9], [5, 6, 7, 1, 2, 3], [4, 6, 9]]
    together = method["branches"](reader, prompts)
    with torch.no_grad():
        for row, ids in zip(together, prompts, strict=True):
            alone = reader.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert torch.allclose(row, alone, atol=1e-4)
    assert not torch.allclose(together[0], together[2], atol=1e-2)


def test_answer_laws_are_the_models_own_odds_of_the_labels(method, reader):
    four = ["no", "rather no", "rather yes", "yes"]
    sheets = [("1234", four, []), ("AB", ["no", "yes"], []), ("1234", four, ["Speak for Peru."])]
    laws = method["answer_laws"](reader, "Is it so?", sheets)
    for (law, mass), (labels, options, after) in zip(laws, sheets, strict=True):
        shown = [f"{a}. {b}" for a, b in zip(labels, options, strict=True)]
        lines = "\n".join(["Is it so?", *shown, *after])
        text = f"<system>{method['SYSTEM']}<user>{lines}<answer>"
        p = lm.next_log_probs(reader, [text])[0].exp()[letters(labels)["input_ids"]]
        assert mass == pytest.approx(float(p.sum()), rel=1e-3)
        assert law == pytest.approx((p / p.sum()).numpy(), rel=1e-3)
        assert law.sum() == pytest.approx(1)


def test_labels_of_several_tokens_are_refused(method, reader):
    sheets = [("12", ["a", "b"], []), (["one", "2"], ["a", "b"], [])]
    with pytest.raises(ValueError, match="splits a label into tokens"):
        method["answer_laws"](reader, "q", sheets)


def test_respondents_answer_by_opinion_by_place_or_both(method, rng):
    theta, appeal = np.array([[0.0, 1.0], [0.4, 0.6]]), rng.normal(size=(4, 4))
    shown = method["SHOWN"]
    reads = method["respondent"](theta, appeal, 30.0, 0)
    assert reads.shape == (2, 2, 4)
    assert np.ptp(reads, axis=-1) == pytest.approx(0)  # the same on all sheets
    assert (reads[:, 1] > reads[:, 0]).all()
    looks = method["respondent"](theta, appeal, 0, 2.0)
    assert np.ptp(looks.reshape(4, 4), axis=0) == pytest.approx(0)  # whatever the opinion
    assert np.ptp(looks[0, 0]) > 0.01
    weight = np.exp(-3 * (shown[1] - 0.4) ** 2 + 2 * appeal[1])
    both = method["respondent"](theta, appeal, 3.0, 2.0)
    assert both[1, 0, 1] == pytest.approx((weight * shown[1]).sum() / weight.sum())


def test_forms_undo_their_order(method):
    up, down = method["SHOWN"][:2]
    assert up == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert down == pytest.approx(up[::-1])


def test_a_choice_scores_the_country_named_first(method):
    """A reader of places prefers whoever stands first; one who wants peace has no score."""
    heard = []

    def law_of(place):
        def laws(model, question, sheets):
            heard.append((question, sheets))
            return [(np.eye(len(labels))[place(labels)], 1.0) for labels, *_ in sheets]

        return laws

    space = method["toward"].__globals__
    saved = {k: space.get(k) for k in ("answer_laws", "language_model")}
    try:
        space.update(answer_laws=law_of(lambda labels: 0), language_model=None)
        assert method["toward"]("Peru", "Chile") == pytest.approx([1, 1])
        space["answer_laws"] = law_of(lambda labels: len(labels) // 2)
        assert method["toward"]("Peru", "Chile") == pytest.approx([-1 / 3, 0])
    finally:
        space.update(saved)
    question, ((four, forced, _), (five, free, _)) = heard[0]
    assert question.index("Peru") < question.index("Chile")
    assert (len(four), len(five)) == (4, 5)
    assert free[2] == "No preference" and [o for o in free if o != free[2]] == forced


def test_the_countries_are_different_and_pair_up(method):
    names = method["COUNTRIES"].split()
    assert len(set(names)) == len(names) == 32


def test_kmeans_ends_where_lloyd_ends(method, rng):
    from sklearn.cluster import KMeans

    x = rng.normal(size=(4, 40, 3))
    labels = method["kmeans"](np.random.default_rng(0), x, 3, steps=200)
    for table, near in zip(x, labels, strict=True):
        centres = np.stack([table[near == j].mean(0) for j in range(3)])
        again = KMeans(3, init=centres, n_init=1).fit(table)
        assert (again.labels_ == near).all()  # a fixed point of the library's steps


def test_kmeans_finds_groups_far_apart(method, rng):
    x = rng.normal(size=(20, 30, 2)) * 0.01 + np.repeat([[0, 0], [9, 9]], 15, axis=0)
    labels = method["kmeans"](rng, x, 2)
    truth = np.repeat([[0, 1]], 15, axis=1)
    truth = np.repeat(truth, 20, axis=0)
    assert method["adjusted_rand"](labels, truth, 2) == pytest.approx(1)


def test_adjusted_rand_is_that_of_the_library(method, rng):
    from sklearn.metrics import adjusted_rand_score

    a, b = rng.integers(4, size=(2, 30, 25))
    b[:10] = a[:10]
    expected = [adjusted_rand_score(x, y) for x, y in zip(a, b, strict=True)]
    assert method["adjusted_rand"](a, b, 4) == pytest.approx(expected)


def test_parts_share_no_dimension_and_the_whole_shares_all(method, rng):
    x = rng.normal(size=(60, 40, 6))  # independent dimensions
    table = method["extrapolate"](rng, x, 4, False).groupby("r").mean()
    assert list(table.index) == [1, 2, 3, 4, 5]
    assert abs(table["parts"]).max() < 0.02
    assert table["whole"].is_monotonic_increasing and table["whole"][5] > 0.1
    copies = np.repeat(x[..., :1], 6, axis=-1) + 0.01 * x
    assert method["extrapolate"](rng, copies, 4, False)["parts"].mean() > 0.5
    renamed = method["extrapolate"](rng, copies, 4, True)
    assert abs(renamed[["whole", "parts"]].mean()).max() < 0.02


def test_halves_speak_for_each_other_only_where_nations_differ(method, rng):
    nation, n_questions = rng.normal(size=(12, 3)), 90
    x = nation @ rng.normal(size=(3, n_questions)) + 0.3 * rng.normal(size=(12, n_questions))
    real = method["half_agreement"](rng, x, 40, 10)
    assert real.shape == (12,) and real.min() > 0.5
    few = method["half_agreement"](rng, x, 3, 10)
    assert few.mean() < real.mean()
    dealt = method["half_agreement"](rng, rng.permuted(x, axis=0), 40, 10)
    assert abs(dealt.mean()) < 0.2


def test_halves_against_a_plain_loop(method):
    x = np.random.default_rng(1).normal(size=(5, 8))
    got = method["half_agreement"](np.random.default_rng(7), x, 4, 1)
    order = np.random.default_rng(7).permutation(8)
    for i in range(5):
        gaps = [
            [np.linalg.norm(x[i, half] - x[j, half]) for j in range(5) if j != i]
            for half in (order[:4], order[4:])
        ]
        assert got[i] == pytest.approx(np.corrcoef(gaps)[0, 1])


def test_without_its_data_the_chapter_says_how_to_get_them(method, tmp_path, monkeypatch):
    """Claims about the authors' files are out of scope, the others are not touched."""
    from seedbook import data, frames

    monkeypatch.setenv("SEEDBOOK_MIRROR", str(tmp_path))
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEEDBOOK_FRAMES", str(tmp_path / "frames"))
    monkeypatch.setattr(data, "URL", "http://127.0.0.1:9/{owner}/{repo}/{commit}/{path}")
    source = chapter.read("cultural_alignment", REPOSITORY)
    cells = {cell.id: cell.source for cell in source.stage("experiment")}
    space = dict(method, personas=["Japan", "Nigeria"], model="none", device="cpu")
    space["lm"] = SimpleNamespace(load=lambda *a: None)
    space |= dict(seed=0, salmon=False, n_half=10, n_splits=1, n_questions=2)
    for id in ("tables", "survey", "people"):
        exec(compile(cells[id], id, "exec"), space)
    skipped = frames.skipped()
    assert set(skipped) == {"survey", "mass", "spread", "away", "nations", "halves"}
    assert all("SEEDBOOK_MIRROR" in reason for reason in skipped.values())
