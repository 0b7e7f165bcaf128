"""The functions of the chapter on random-feature attention, against loops and closed forms."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import pytest
import torch
from seedbook import seeds
from seedbook.press import catalog, chapter

slug = "random_feature_attention"


@pytest.fixture(scope="module")
def names():
    return chapter.definitions(slug, cells=("world", "fit"))


def tokens(n=5, n_keys=3, d=4, name="tokens"):
    x = seeds.rng(0, name).standard_normal((n, n_keys + 1, d))
    return torch.tensor(x / np.linalg.norm(x, axis=2, keepdims=True))


def normal(*shape, name="weights"):
    return torch.tensor(seeds.rng(1, name).standard_normal(shape))


def test_the_chapter_keeps_the_contract():
    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def test_attention_features_are_those_of_two_loops(names):
    x, w = tokens(), normal(6, 5, 5)
    found = names["rfa_features"](x, w)
    for a, features in zip(x.numpy(), found.numpy(), strict=True):
        one = np.hstack([a, np.ones((4, 1))])
        for m, head in enumerate(w.numpy()):
            terms = [max(0, one[0] @ head @ key) * key for key in one[1:]]
            np.testing.assert_allclose(features[5 * m : 5 * m + 5], np.mean(terms, 0), atol=1e-12)


def test_attention_forgets_the_order_of_keys_but_not_the_query(names):
    x, w, v = tokens(), normal(6, 5, 5), normal(7, 9, name="pooled")
    for f, weights in ((names["rfa_features"], w), (names["pooled_features"], v)):
        same, other = f(x[:, [0, 3, 1, 2]], weights), f(x[:, [1, 0, 2, 3]], weights)
        torch.testing.assert_close(same, f(x, weights))
        assert (other - f(x, weights)).abs().max() > 0.1
    mlp, u = names["mlp_features"], normal(7, 17, name="mlp")
    assert (mlp(x[:, [0, 3, 1, 2]], u) - mlp(x, u)).abs().max() > 0.1
    torch.testing.assert_close(names["rfa_features"](x, 3 * w), 3 * names["rfa_features"](x, w))


def test_softmax_weighs_each_key_once(names):
    x, w = tokens(), normal(6, 5, 5)
    ones = names["rfa_features"](x, w, "softmax").view(5, 6, 5)[..., -1]
    torch.testing.assert_close(ones, torch.ones_like(ones))


def test_networks_share_a_size_and_the_bias_is_in_the_scores(names):
    x = tokens(n=40)
    kernels = names["networks"](4, 3, 60, 0.0, "relu", seeds.rng(2, "networks"))
    assert list(kernels) == ["RFA", "BRFA", "RFMLP", "pooled"]
    torch.testing.assert_close(kernels["RFA"](x, x), kernels["BRFA"](x, x))
    biased = names["networks"](4, 3, 60, 5.0, "relu", seeds.rng(2, "networks"))
    torch.testing.assert_close(biased["RFA"](x, x), kernels["RFA"](x, x))
    w = torch.tensor(seeds.rng(2, "networks").standard_normal((12, 5, 5)))
    w[:, range(4), range(4)] += 5
    features = names["rfa_features"](x, w)
    torch.testing.assert_close(biased["BRFA"](x, x), features @ features.mT)


@pytest.mark.parametrize("limit", ["rfa_limit", "mlp_limit"])
def test_limits_are_means_over_many_features(names, limit):
    x, z = tokens(n=6), tokens(n=4, name="others")
    if limit == "rfa_limit":
        w = normal(40_000, 5, 5, name="heads")
        f = [names["rfa_features"](v, w) for v in (x, z)]
    else:
        w = normal(40_000, 17, name="neurons")
        f = [names["mlp_features"](v, w) for v in (x, z)]
    found = names[limit](x, z)
    assert found.std() > 0.05
    torch.testing.assert_close(f[0] @ f[1].mT / len(w), found, atol=0.06, rtol=0.04)


def test_counts_are_those_of_monomials(names):
    """Harmonics by difference of homogeneous polynomials; (4) by hand and as a rank."""
    for d in (3, 4, 7):
        for p in range(5):
            lower = len([*combinations_with_replacement(range(d), p - 2)]) if p >= 2 else 0
            every = len([*combinations_with_replacement(range(d), p)])
            assert names["harmonics"](p, d) == every - lower
    # query and N keys: constant, linear, squares of one token, products of two
    for n_keys, d in ((1, 4), (8, 4), (3, 6)):
        m, d2 = n_keys + 1, names["harmonics"](2, d)
        assert names["polynomials"](1, n_keys, d) == 1 + m * d
        assert names["polynomials"](2, n_keys, d) == 1 + m * d + m * d2 + m * (m - 1) // 2 * d * d
    # rank of the kernel's features: all polynomials up to degree 2, and no more
    x = tokens(n=200, n_keys=1, d=4, name="rank").flatten(1)
    square = torch.einsum("na,nb->nab", x, x).flatten(1)
    every = torch.cat([torch.ones(200, 1).to(x), x, square], 1)
    assert torch.linalg.matrix_rank(every) == names["polynomials"](2, 1, 4)


def test_harmonics_are_orthonormal_on_the_sphere(names):
    d, t = 5, np.linspace(-1, 1, 20_001)
    weight = (1 - t**2) ** ((d - 3) / 2)
    h = np.stack([names["harmonic"](p, t, d) for p in range(5)])
    np.testing.assert_allclose((h * weight) @ h.T / weight.sum(), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(h[1], d**0.5 * t, atol=1e-12)


def test_targets_have_the_variance_and_the_symmetry_they_promise(names):
    rng, x = seeds.rng(3, "targets"), tokens(n=60_000, n_keys=3, d=5, name="many").numpy()
    beta = rng.standard_normal(5)
    beta /= np.linalg.norm(beta)
    for name in ("avg_2", "corr0_2", "corr_1", "corr_2", "first_3"):
        y = names["target"](name, x, beta)
        expected = 1 + 2 / 5 if name == "corr_1" else 1  # and a function of the query
        assert abs(y.mean()) < 0.03 and y.var() == pytest.approx(expected, abs=0.05), name
        turned = names["target"](name, x[:, [0, 2, 3, 1]], beta)
        assert np.allclose(y, turned) != name.startswith("first")
    np.testing.assert_allclose(
        names["target"]("avg_1", x, beta), (5 / 3) ** 0.5 * (x[:, 1:] @ beta).sum(1)
    )


def test_world_puts_noise_on_training_labels_only(names):
    def draw(sd):
        return names["world"](["avg_1"] * 2, 400, 50, 2, 4, sd, seeds.rng(4, "world"))

    (x, clean), (_, noisy) = draw(0.0), draw(2.0)
    assert x.shape == (450, 3, 4) and clean.shape == (450, 2)
    assert (clean[:, 0] - clean[:, 1]).abs().mean() > 0.1  # two directions
    torch.testing.assert_close(noisy[400:], clean[400:])
    assert (noisy - clean)[:400].std() == pytest.approx(2, rel=0.1)


def test_errors_are_those_of_scikit_learn(names):
    from sklearn.linear_model import Ridge

    z, y = normal(130, 20, name="features") + 1, normal(130, 3, name="labels") + z_signal()
    k = z @ z[:30].mT
    found = names["errors"](k[:30], k[30:], y[:30], y[30:], [0.3])
    centred = z[:30] - z[:30].mean(0)
    size = float((centred**2).sum(1).mean())
    fit = Ridge(0.3 * size).fit(z[:30].numpy(), y[:30].numpy())
    off = (fit.predict(z[80:].numpy()) - y[80:].numpy()) ** 2
    np.testing.assert_allclose(found, off.mean(0) / y[80:].numpy().var(0))


def z_signal():
    return normal(130, 20, name="features") @ normal(20, 3, name="truth")


def test_the_ridge_is_chosen_on_the_first_half_alone(names):
    z, y = normal(60, 8, name="features"), normal(60, 1, name="labels")
    k = z @ z[:20].mT
    ridges = [1e-6, 0.1, 1e4]
    each = [names["errors"](k[:20], k[20:], y[:20], y[20:], [r])[0] for r in ridges]
    flipped = torch.cat([torch.arange(20), torch.arange(40, 60), torch.arange(20, 40)])
    first = [
        names["errors"](k[:20], k[flipped][20:], y[:20], y[flipped][20:], [r])[0] for r in ridges
    ]
    found = names["errors"](k[:20], k[20:], y[:20], y[20:], ridges)[0]
    assert found == each[int(np.argmin(first))]


def test_needed_interpolates_and_keeps_the_ends(names):
    needed, ns = names["needed"], [10, 100, 1000]
    assert needed(ns, [0.75, 0.25, 0.1], 0.5) == pytest.approx(10**1.5)
    assert needed(ns, [0.9, 0.8, 0.7], 0.5) == pytest.approx(1000)
    assert needed(ns, [0.4, 0.3, 0.2], 0.5) == pytest.approx(10)
    assert needed(ns, [1.0, 1.2, 0.0], 0.5) == pytest.approx(10**2.5)  # least so far
    assert needed(ns, pd.Series([0.75, 0.25], index=[7, 9]), 0.5) == pytest.approx(10**1.5)


def test_climb_stops_when_all_targets_are_learnt(names):
    asked = []

    def linear(x, z):
        asked.append(len(z))
        return x.flatten(1) @ z.flatten(1).mT

    x = tokens(n=300, n_keys=1, d=3, name="climb")
    y = torch.stack([x[:, 1, 0], x[:, 1, 1]], 1)
    found = names["climb"](linear, x, y, 100, [4, 8, 16, 32, 64], [1e-6], 0.5)
    assert all(3 < star < 16 for star in found) and max(asked) <= 16


def test_salmon_exchanges_owners_within_groups_only(names):
    table = pd.DataFrame({"seed": np.repeat(range(200), 4), "model": [*"aabb"] * 200})
    table["value"] = np.tile([1, 2, 3, 4], 200)
    before = table.copy()
    names["dealt"](table, "model", ["seed"], seeds.rng(5, "dealt"))
    assert table["value"].equals(before["value"])
    first = table["model"].to_numpy().reshape(200, 4)
    assert (first[:, 0] == first[:, 1]).all() and (first[:, 0] != first[:, 2]).all()
    assert 0.35 < (first[:, 0] == "a").mean() < 0.65


def test_the_bound_holds_for_one_kernel_and_not_for_the_other(names):
    """Infinitely many neurons stay above (5) on average; infinitely many heads do not."""
    d, n_keys, n, errors = 4, 12, 40, {"mlp_limit": [], "rfa_limit": []}
    for i in range(8):
        rng = seeds.rng(6, f"bound {i}")
        x, y = names["world"](["avg_2"] * 5, n, 300, n_keys, d, 0.0, rng)
        for limit, found in errors.items():
            k = names[limit](x, x[:n])
            parts = k[:n], k[n:], y[:n], y[n:], [1e-4, 1e-2, 1.0]
            found.append(names["errors"](*parts).mean())
    bound = 1 - n / (n_keys * names["harmonics"](2, d))
    assert np.mean(errors["rfa_limit"]) < bound < np.mean(errors["mlp_limit"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"n_features": 3}, "gives no head"), ({"keys": [2, 2]}, "two different numbers")],
)
def test_what_ties_parameters_is_said_in_a_sentence(changed, message):
    space = {}
    source = chapter.read(slug)
    cell = {cell.id: cell.source for cell in source.cells}
    exec(cell["parameters"], space)
    head = cell["targets"][: cell["targets"].index("where =")]
    with pytest.raises(ValueError, match=message):
        exec(head, space | changed)
