"""The functions of the chapter on modular addition, against closed forms, torch and brute force."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from seedbook import seeds
from seedbook.press import chapter
from torch.nn import functional as F

slug = "modular_addition"
LOOK = dict(dtype=torch.float64, device="cpu")


@pytest.fixture(scope="module")
def method():
    return chapter.definitions(slug, cells=("readings", "grokking"))


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def ideal(p, n_phases):
    """One neuron for each frequency and each of equally spaced phases, psi = 2 phi."""
    k = np.repeat(np.arange(1, (p + 1) // 2), n_phases)
    phi = np.tile(2 * np.pi * np.arange(n_phases) / n_phases, (p - 1) // 2)
    angle = 2 * np.pi * np.outer(k, np.arange(p)) / p
    return np.stack([np.cos(angle + phi[:, None]), np.cos(angle + 2 * phi[:, None])])


def answers(weights, sigma):
    """Logits (p, p, p) of every ordered pair, by equation (1) as it is written."""
    theta, xi = weights
    z = theta[:, :, None] + theta[:, None, :]
    return np.einsum("mj,mxy->jxy", xi, sigma(z))


# --- Pairs and waves ------------------------------------------------------------------------------


def test_pairs_stand_for_all_ordered_pairs(method):
    x, y, both, often = method["pairs"](7)
    assert often.sum() == 49 and (both.sum(0) == 2).all()
    theta = np.arange(7.0) ** 2
    assert (theta @ both == theta[x] + theta[y]).all()


def test_an_even_modulus_is_one_sentence(method):
    with pytest.raises(ValueError, match="24 is even: choose an odd"):
        method["pairs"](24)


def test_waves_are_magnitudes_and_phases_of_equation_2(method):
    rng = seeds.rng(0, "rows")
    alpha, phi, p = rng.random(5), rng.uniform(-np.pi, np.pi, 5), 11
    j, k = np.arange(p), np.arange(1, 6)
    row = (alpha[:, None] * np.cos(2 * np.pi * np.outer(k, j) / p + phi[:, None])).sum(0)
    a = method["waves"](row + 3.0)  # a constant is left out
    assert np.abs(a) == pytest.approx(alpha) and np.angle(a) == pytest.approx(phi)
    assert method["weave"](a) == pytest.approx(row)
    rows = rng.normal(size=(2, 3, p))
    centred = rows - rows.mean(-1, keepdims=True)
    assert method["weave"](method["waves"](rows)) == pytest.approx(centred)


def test_misalignment_is_twice_the_input_phase_less_the_output_phase(method):
    phi, psi = np.array([0.3, 2.0, -3.0]), np.array([0.6, -2.0, 0.1])
    D = method["misaligned"]((2 * np.exp(1j * phi), 5 * np.exp(1j * psi)))
    assert np.exp(1j * D) == pytest.approx(np.exp(1j * (2 * phi - psi)))
    assert D[0] == pytest.approx(0)


# --- Training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["relu", "quad"])
def test_train_is_adamw_on_all_ordered_pairs(method, act):
    """Two stacked networks on weighted pairs, against one network on p * p pairs with one-hots."""
    p, rng = 7, seeds.rng(1, "train")
    x, y, _, often = method["pairs"](p)
    first = rng.normal(0, 0.3, (2, 2, 5, p))
    shown = np.array([often, np.where(x == 2, 0, often)])
    tables = np.array([(x + y) % p, rng.permutation((x + y) % p)])
    rule = lambda weights, rate: torch.optim.AdamW(  # noqa: E731
        weights, rate, betas=(0.9, 0.98), weight_decay=0.5
    )
    seen = []
    got = method["train"](
        first, act, tables, shown, 12, rule, 1e-2, LOOK, lambda s, a, w: seen.append((s, a, w))
    )
    assert [s for s, _, _ in seen] == list(range(13))
    assert (seen[0][2] == first).all() and (seen[-1][2] == got).all()
    sigma = {"relu": F.relu, "quad": torch.square}[act]
    for i in (0, 1):
        theta, xi = (torch.tensor(w).requires_grad_() for w in first[i])
        optimizer = rule([theta, xi], 1e-2)
        table = torch.full((p, p), -1)
        for u, v, label, n in zip(x, y, tables[i], shown[i], strict=True):
            if n:
                table[u, v] = table[v, u] = int(label)
        rows, columns = (table >= 0).nonzero(as_tuple=True)
        for step in range(12):
            out = sigma(theta[:, rows] + theta[:, columns]).T @ xi
            loss = F.cross_entropy(out, table[rows, columns])
            optimizer.param_groups[0]["lr"] = 1e-2 * min(1, (step + 1) / 10)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        want = torch.stack([theta, xi]).detach().numpy()
        np.testing.assert_allclose(got[i], want, rtol=1e-7, atol=1e-9)


def test_a_small_network_learns_to_add(method):
    p, rng = 7, seeds.rng(2, "learn")
    x, y, _, often = method["pairs"](p)
    table = ((x + y) % p)[None]
    right = []
    watch = lambda step, answer, weights: right.append((answer == table).mean())  # noqa: E731
    first = rng.normal(0, 0.1, (1, 2, 64, p))
    sgd = torch.optim.AdamW
    method["train"](first, "quad", table, often, 300, sgd, 5e-3, LOOK, watch)
    assert right[0] < 0.5 and right[-1] == 1


# --- The race -------------------------------------------------------------------------------------


def test_the_flow_is_the_gradient_of_the_cross_entropy(method):
    """Equation (4) in time units of p: minus the gradient for tiny weights, wave by wave."""
    p, rng = 11, seeds.rng(3, "flow")
    rows = method["weave"](rng.normal(size=(2, 1, 5)) + 1j * rng.normal(size=(2, 1, 5)))
    scale = 1e-3
    weights = [torch.tensor(scale * w).requires_grad_() for w in rows]
    x, y, both, often = method["pairs"](p)
    out = (weights[0] @ torch.tensor(both)).square().T @ weights[1]
    each = F.cross_entropy(out, torch.tensor((x + y) % p), reduction="none")
    (each @ torch.tensor(often / often.sum())).backward()
    moved = [method["waves"](-w.grad.numpy()) / scale**2 * p for w in weights]
    a, b = method["waves"](rows)
    np.testing.assert_allclose(moved[0], 2 * b * a.conj(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moved[1], a**2, rtol=1e-5, atol=1e-5)


def test_blow_up_times_against_the_closed_form(method):
    """|a|^2 - 2 |b|^2 and Im(a^2 conj b) stay, so the time is an integral over u = |b|^2."""
    rng = seeds.rng(4, "race")
    a, b = rng.normal(size=(2, 200)) + 1j * rng.normal(size=(2, 200))
    got = method["blow_up_times"](np.stack([a, b]))
    c, j = abs(a) ** 2 - 2 * abs(b) ** 2, (a**2 * b.conj()).imag
    forward = [i for i in range(200) if (a[i] ** 2 * b[i].conj()).real > 0.2]
    assert len(forward) > 50
    for i in forward[:30]:
        rate = lambda u, i=i: 2 * np.sqrt(u * (c[i] + 2 * u) ** 2 - j[i] ** 2)  # noqa: E731
        want = quad(lambda u: 1 / rate(u), abs(b[i]) ** 2, np.inf, limit=200)[0]  # noqa: B023
        assert got[i] == pytest.approx(want, rel=5e-3)


def test_blow_up_times_of_a_misaligned_start(method):
    """D near pi first shrinks; SciPy's integrator agrees, and larger starts are faster."""
    start = np.array([1.0 + 0j, 0.8 * np.exp(2.8j)])
    flow = lambda t, v: [2 * v[1] * np.conj(v[0]), v[0] ** 2]  # noqa: E731
    huge = lambda t, v: abs(v[1]) - 1e4  # noqa: E731
    huge.terminal = True
    run = solve_ivp(flow, (0, 100), start, events=huge, rtol=1e-9, atol=1e-9)
    got = method["blow_up_times"](start)
    assert got == pytest.approx(run.t_events[0][0], rel=5e-3)
    assert method["blow_up_times"](3 * start) == pytest.approx(got / 3)
    aligned = method["blow_up_times"](np.array([1.0 + 0j, 0.8]))
    assert aligned < got


def test_hits_by_hand(method):
    phases = np.exp(1j * np.array([[0.1, 2.0, 3.0], [1.0, 0.0, 2.5]]))
    sizes = np.array([[1.0, 1.0, 9.0], [1.0, 1.2, 1.0]])
    ticket = np.stack([sizes * phases**0.5, sizes + 0j])  # D is the angle of `phases`
    rates = method["hits"](np.array([0, 1]), ticket)
    assert rates["phase"] == 1 and rates["magnitude"] == 0.5 and 0.5 <= rates["race"] <= 1
    assert method["hits"](np.array([2, 1]), ticket)["magnitude"] == 1


# --- Readings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sigma", "ratio", "fit"),
    [(np.square, 0.5, 1.0), (lambda z: np.maximum(z, 0), 0.3354, 0.98), (np.abs, 0.3354, 0.98)],
)
def test_the_ideal_network_is_the_flawed_indicator(method, sigma, ratio, fit):
    out = answers(ideal(23, 8), sigma)
    x, y = method["pairs"](23)[:2]
    got = method["indicator"](out[:, x, y], 23)
    assert got[0] == pytest.approx(ratio, abs=5e-4)
    assert got[1] == pytest.approx(fit, abs=0.01)
    assert (out.argmax(0) == np.add.outer(range(23), range(23)) % 23).all()


def test_four_phases_leave_the_fourth_harmonic(method):
    out = answers(ideal(23, 4), np.square)
    x, y = method["pairs"](23)[:2]
    ratio, fit = method["indicator"](out[:, x, y], 23)
    assert ratio == pytest.approx(0.5, abs=1e-6) and fit < 0.6


def test_indicator_is_a_regression_on_indicators(method):
    p, rng = 9, seeds.rng(5, "logits")
    x, y = method["pairs"](p)[:2]
    out = rng.normal(size=(p, len(x)))
    keep = x != y
    rows = []
    for i in np.flatnonzero(keep):
        for j in range(p):
            ghost = j in (2 * x[i] % p, 2 * y[i] % p)
            rows.append((1, j == (x[i] + y[i]) % p, ghost, out[j, i] - out[:, i].mean()))
    design = np.array(rows, dtype=float)
    coef, residual = np.linalg.lstsq(design[:, :3], design[:, 3])[:2]
    ratio, fit = method["indicator"](out, p)
    assert ratio == pytest.approx(coef[2] / coef[1])
    assert fit == pytest.approx(1 - residual[0] / (design[:, 3] ** 2).sum())


def test_unevenness_is_one_by_chance_and_zero_for_even_phases(method):
    rng = seeds.rng(6, "phases")
    lead = np.repeat(np.arange(5), 60)
    draw = lambda: method["weave"](  # noqa: E731
        np.eye(5)[lead] * np.exp(2j * np.pi * rng.random((2, 300, 1)))
    )
    told = [method["neurons"](draw(), lead, (2, 4)) for _ in range(60)]
    assert np.mean([t["unevenness"] for t in told]) == pytest.approx(1, abs=0.06)
    assert np.mean([t["locked"] for t in told]) == pytest.approx(0, abs=0.03)
    assert np.mean([t["near"] for t in told]) == pytest.approx(0.2 / np.pi, abs=0.01)
    assert all(t["pure"] == 1 for t in told)
    even = method["neurons"](ideal(11, 8), np.repeat(np.arange(5), 8), (2, 4))
    assert even["unevenness"] == pytest.approx(0, abs=1e-6)
    assert even["locked"] == pytest.approx(1) and even["near"] == 1


def test_read_tells_an_ideal_network_from_noise(method):
    p, rng = 11, seeds.rng(7, "read")
    x, y = method["pairs"](p)[:2]
    table, network = (x + y) % p, ideal(p, 8)
    noise = rng.normal(size=network.shape)
    told, votes, lead = method["read"]("quad", noise, network, p, table, rng)
    assert (lead == np.repeat(np.arange(5), 8)).all()
    assert told["accuracy_trained"] == told["accuracy_pure"] == votes[32] or votes[32] < 1
    assert told["accuracy_trained"] == told["pure"] == 1 and told["pure_start"] == 0
    assert told["ghost_pure"] == pytest.approx(0.5) and told["evenness"] == pytest.approx(1)
    assert told["accuracy_redrawn"] < 0.5 and told["one"] < told["quarter"] <= 1
    told, _, _ = method["read"]("quad", noise, noise, p, table, rng)
    assert told["accuracy_trained"] < 0.6 and told["pure"] == 0


def test_split_shows_ordered_pairs(method):
    often = method["pairs"](23)[3]
    shown = np.array([method["split"](23, 0.75, seeds.rng(i, "split")) for i in range(200)])
    assert (shown.sum(1) == round(0.75 * 23**2)).all() and (shown <= often).all()
    novel = (often * (shown == 0)).sum(1) / (often - shown).sum(1)
    # hidden (x, y) with x != y has its mirror image hidden too in about a quarter of cases
    want = (1 + 22 * (1 - 0.75)) / 23
    assert novel.mean() == pytest.approx(want, abs=0.01)
