"""The functions of the chapter on Instruct-SkillMix, against brute force, closed forms, a loop."""

import itertools

import numpy as np
import pytest
import torch
from seedbook import data, seeds, training
from seedbook.decoding import ancestral, greedy
from seedbook.press import catalog, chapter
from seedbook.transformer import Transformer, sample
from torch.nn import functional as F

slug = "instruct_skillmix"
SKILLS, SYMBOLS = 5, 6


@pytest.fixture(scope="module")
def names():
    """What the cells that define functions give, without what they run."""
    return chapter.definitions(slug, cells=["arms", "texts"])


@pytest.fixture
def small(names):
    """Tables, pairs for tuning, new pairs."""
    return names["world"](SKILLS, SYMBOLS, 0.25, 3, seeds.rng(0, "world"))


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_a_world_has_every_ordered_pair_once_and_an_idle_table(small):
    tables, pairs, new = small
    both = [tuple(p) for p in np.vstack([pairs, new]).tolist()]
    assert sorted(both) == sorted(itertools.permutations(range(SKILLS), 2))
    assert len(new) == 5
    assert (np.sort(tables, axis=1) == np.arange(SYMBOLS)).all()
    assert (tables[-1] == np.arange(SYMBOLS)).all()


@pytest.mark.parametrize(("held_out", "n_few"), [(0.01, 3), (0.8, 5), (0.25, 100)])
def test_a_world_without_pairs_to_test_or_tune_is_refused(names, held_out, n_few):
    with pytest.raises(ValueError, match="change either, or raise n_skills"):
        names["world"](SKILLS, SYMBOLS, held_out, n_few, seeds.rng(0, "world"))


@pytest.mark.parametrize("length", [1, 3])
def test_documents_work_out_both_skills_in_order(names, small, length):
    tables, pairs, _ = small
    docs = names["tasks"](tables, pairs, 50, length, seeds.rng(1, "tasks"))
    assert docs.shape == (50, 3 * length + 4)
    for doc in docs.tolist():
        one, two = (token - SYMBOLS for token in doc[:2])
        x = doc[2 : 2 + length]
        first = [int(tables[one][s]) for s in x]
        second = [int(tables[two][s]) for s in first]
        mark = SYMBOLS + SKILLS + 1
        assert [one, two] in pairs.tolist()
        assert doc[2 + length :] == [mark, *first, *second, mark + 1]


def test_lessons_have_one_real_skill_in_either_place(names, small):
    docs = names["lessons"](small[0], 400, 1, seeds.rng(2, "lessons"))
    real = docs[:, :2] < SYMBOLS + SKILLS
    assert (real.sum(1) == 1).all()
    assert 150 < real[:, 0].sum() < 250
    idle_second = docs[real[:, 0]]
    assert (idle_second[:, 4] == idle_second[:, 5]).all()
    idle_first = docs[real[:, 1]]
    assert (idle_first[:, 2] == idle_first[:, 4]).all()


def test_shirkers_spoil_the_answers_of_their_share_and_nothing_else(names, small):
    tables, pairs, _ = small
    docs = names["tasks"](tables, pairs, 1000, 2, seeds.rng(3, "tasks"))
    kept = docs.copy()
    junk = names["spoil"](docs, 0.2, "junk", SYMBOLS, seeds.rng(4, "junk"))
    brief = names["spoil"](docs, 0.2, "brief", SYMBOLS, seeds.rng(4, "brief"))
    np.testing.assert_array_equal(docs, kept)
    for spoilt in (junk, brief):
        np.testing.assert_array_equal(spoilt[200:], docs[200:])
        np.testing.assert_array_equal(spoilt[:, :5], docs[:, :5])
    np.testing.assert_array_equal(junk[:, -1], docs[:, -1])
    right = (junk[:200, 5:9] == docs[:200, 5:9]).mean()
    assert right == pytest.approx(1 / SYMBOLS, abs=0.05)
    np.testing.assert_array_equal(brief[:200, :7], docs[:200, :7])
    assert (brief[:200, 7:] == docs[0, -1]).all()


def test_sets_are_nested_and_never_touch_new_pairs(names, small):
    tables, pairs, new = small
    made = names["sets"](tables, pairs, 40, 90, 0.25, 3, 1, seeds.rng(5, "sets"))
    assert set(made) == set(names["ARMS"]) - {"base"}
    sizes = {"cut": 30, "half": 20, "quarter": 10, "fourfold": 160, "once": 90, "once junk": 90}
    assert {arm: len(d) for arm, d in made.items()} == dict.fromkeys(made, 40) | sizes
    np.testing.assert_array_equal(made["cut"], made["junk"][10:])
    np.testing.assert_array_equal(made["cut"], made["pairs"][10:])
    np.testing.assert_array_equal(made["pairs"], made["fourfold"][:40])
    np.testing.assert_array_equal(made["quarter"], made["half"][-10:])
    held = {tuple(p) for p in (new + SYMBOLS).tolist()}
    for arm, docs in made.items():
        used = {tuple(p) for p in docs[:, :2].tolist()}
        assert not used & held, arm
        assert arm != "few" or len(used) <= 3


def test_passes_show_each_example_equally_often(names):
    rows = names["passes"](7, 24, seeds.rng(6, "passes"))
    assert len(rows) == 24
    assert (np.sort(rows[:21].reshape(3, 7), axis=1) == np.arange(7)).all()
    assert rows[:7].tolist() != rows[7:14].tolist()
    assert sorted(names["passes"](9, 9, seeds.rng(6, "once"))) == list(range(9))


@pytest.fixture
def three(names):
    """Three small networks as a stack, and one by one."""
    shape = {"d_model": 8, "n_heads": 2}
    models = [Transformer(14, 6, **shape, generator=seeds.torch(i, "network")) for i in range(3)]
    params = torch.func.stack_module_state(models)[0]
    return models, names["stacked"](models[0]), params


def test_a_stack_is_its_networks(three):
    models, net, params = three
    ids = torch.randint(14, (3, 4, 6), generator=seeds.torch(0, "ids"))
    alone = torch.stack([m(x) for m, x in zip(models, ids, strict=True)])
    torch.testing.assert_close(net(params, ids), alone)


def test_fit_trains_each_network_as_if_alone_and_on_answers_only(names, three):
    models, net, params = three
    ids = torch.randint(14, (5, 3, 4, 7), generator=seeds.torch(0, "ids"))
    first = 4
    found = names["fit"](net, params, lambda step: ids[step], 5, 1e-3, first)
    for i, model in enumerate(models):

        def loss(net, batch):
            logits = net(batch[:, :-1])[:, first - 1 :]
            return F.cross_entropy(logits.flatten(0, 1), batch[:, first:].flatten())

        training.train(model, lambda step: ids[step, i], 5, lr=1e-3, clip=None, loss=loss)  # noqa: B023
        for name, value in model.named_parameters():
            torch.testing.assert_close(found[name][i], value.detach(), atol=1e-5, rtol=1e-4)
    assert not any(p.requires_grad for p in found.values())


def test_grades_are_those_of_answers_written_token_by_token(names, three):
    models, net, params = three
    docs = torch.randint(14, (3, 200, 5), generator=seeds.torch(0, "questions"))
    params = {k: 20 * p if k == "head.weight" else p for k, p in params.items()}
    for i, model in enumerate(models):
        model.load_state_dict({k: p[i] for k, p in params.items()})
        half = sample(model, docs[i, :100, :3], 2, generator=seeds.torch(i, "a"), rule=greedy)
        docs[i, :100] = half  # so that many answers are right
    share, chance = names["grade"](net, params, docs, 3, 0.8)
    for i, model in enumerate(models):
        said = sample(model, docs[i, :, :3], 2, generator=seeds.torch(i, "b"), rule=greedy)
        assert share[i] == (said == docs[i]).all(-1).double().mean() >= 0.5
        drawn = sample(
            model,
            docs[i, :, :3].repeat(100, 1),
            2,
            generator=seeds.torch(i, "c"),
            rule=lambda logits: ancestral(logits / 0.8),
        )
        hits = (drawn == docs[i].repeat(100, 1)).all(-1).double().mean()
        assert 0.02 < hits < 0.98
        assert chance[i] == pytest.approx(float(hits), abs=0.015)


def test_matches_are_those_of_brute_force(names):
    rng = np.random.default_rng(0)
    labels = [[str(s) for s in rng.choice(9, 2, replace=False)] for _ in range(40)]
    brute = [
        sum(a == b for j, other in enumerate(labels) if j != i for a in pair for b in other)
        for i, pair in enumerate(labels)
    ]
    assert names["matches"](labels).tolist() == brute


def test_named_wants_every_word_of_both_skills(names):
    answers = [
        "Baking bread, then a chess opening.",
        "The bakery sells bread; nothing on the other skill.",
        "Openings in chess are listed.",
    ]
    skills = [["bread_baking", "chess_opening"], ["bread_baking", "knitting"], ["chess_openings"]]
    own, others = names["named"](answers, skills)
    assert own.tolist() == [1, 0, 1]
    assert others.tolist() == [0.5, 0, 0]


def test_distinct_pairs_are_counted_exactly(names):
    p = np.array([0.5, 0.3, 0.2])
    for n in (1, 3):
        draws = itertools.product(range(3), repeat=n)
        brute = sum(np.prod(p[list(d)]) * len(set(d)) for d in draws)
        assert names["distinct"](p, np.array([n]))[0] == pytest.approx(brute)
    total = 1142 * 1141 // 2
    even = names["distinct"](np.array([1 / total]), np.array([1000, 4000])) * total
    np.testing.assert_allclose(even, [999.2337, 3987.7477], atol=1e-3)


def test_the_published_file_is_the_one_that_was_read():
    try:
        path = data.fetch(data.entry(slug, "examples"))
    except data.Missing as missing:
        pytest.skip(str(missing))
    import json

    table = json.loads(path.read_text(encoding="utf-8"))
    pairs = {frozenset(row["skills_joined_str"].split(", ")) for row in table}
    assert (len(table), len(pairs), len(frozenset().union(*pairs))) == (1000, 998, 942)


def test_without_network_and_mirror_the_file_is_missed_in_words(monkeypatch, tmp_path):
    """Where the file cannot be had its frame is skipped, and the claims on it are out of scope."""
    from seedbook import frames

    monkeypatch.setenv("SEEDBOOK_FRAMES", str(tmp_path / "frames"))
    monkeypatch.setenv("SEEDBOOK_MIRROR", str(tmp_path / "none"))
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pooch.retrieve", lambda *a, **k: (_ for _ in ()).throw(OSError("offline")))
    source = chapter.read(slug)
    space = chapter.definitions(slug, cells=["arms", "texts"])
    space |= {"seed": 0, "salmon": False}
    exec(next(c.source for c in source.cells if c.id == "published"), space)
    assert list(frames.skipped()) == ["release"]
    assert "SEEDBOOK_MIRROR" in frames.skipped()["release"]
    assert frames.available("coverage")
    exec(next(c.source for c in source.cells if c.id == "claims"), space)
    verdicts = space["ledger"].judge()
    assert {i for i, v in verdicts.items() if v["verdict"] == "out of scope"} == {"c5", "x4", "x5"}
