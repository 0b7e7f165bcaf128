"""The chapter's flow, judges and search against closed forms, SciPy and brute force."""

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from seedbook import seeds
from seedbook.press import chapter
from tiny import REPOSITORY

slug = "diffusion_boundary_conditions"


@pytest.fixture(scope="module")
def method():
    """What `setup`, `method` and the judges' cell define."""
    return chapter.definitions(slug, REPOSITORY, ["judges"])


@pytest.fixture
def generator():
    return seeds.torch(3, "diffusion boundary conditions")


def test_the_chapter_keeps_the_contract():
    from seedbook.press import catalog

    assert chapter.check(chapter.read(slug), catalog.load().chapter(slug)) == []


def gaussian(method, mean, sd):
    """The exact velocity for images N(mean, sd^2): from E[x_0 | x_t] and E[noise | x_t]."""

    def velocity(x, t, y):
        a, b = method["schedule"](t)
        gain = a * sd**2 / (a**2 * sd**2 + b**2)
        clean = mean + gain * (x - a * mean)
        return (a * x - clean) / b  # since clean = a x - b v

    return velocity


def test_the_flow_of_a_gaussian_world_is_linear_and_the_origin_gives_the_mean(method, generator):
    """h(x_T) = m + A x_T, with A the ratio of the standard deviations at both ends."""
    mean, sd = torch.tensor([0.3, -0.5, 0.0]), torch.tensor([0.2, 0.7, 1.0])
    x = torch.randn((50, 3), generator=generator, dtype=torch.float64) / 2
    found = method["solve"](gaussian(method, mean.double(), sd.double()), x, None, 2000)
    a, b = method["schedule"](torch.tensor(0.98, dtype=torch.float64))
    expected = mean + sd * (x - a * mean) / torch.sqrt((a * sd) ** 2 + b**2)
    assert torch.allclose(found, expected, atol=2e-3)
    origin = method["solve"](gaussian(method, mean, sd), torch.zeros(1, 3), None, 2000)
    assert torch.allclose(origin[0], mean, atol=0.02)  # 0.02: the flow starts at t = 0.98


def test_fresh_noise_samples_the_gaussian_world(method, generator):
    mean, sd = torch.tensor([0.3, -0.5]), torch.tensor([0.2, 0.7])
    x = torch.randn((20_000, 2), generator=generator)
    found = method["solve"](gaussian(method, mean, sd), x, None, 200, 1.0, generator)
    assert torch.allclose(found.mean(0), mean, atol=0.02)
    assert torch.allclose(found.std(0), sd, rtol=0.04)
    start = torch.zeros((2000, 2))
    fixed = method["solve"](gaussian(method, mean, sd), start, None, 20)
    assert fixed.std(0).max() < 1e-6  # without it, one start has one end
    stirred = method["solve"](gaussian(method, mean, sd), start, None, 20, 1.0, generator)
    assert stirred.std(0).min() > 0.1


def test_schedule_keeps_the_variance(method):
    a, b = method["schedule"](torch.linspace(0, 1, 11))
    assert torch.allclose(a**2 + b**2, torch.ones(11))
    assert a[0] == 1 and b[0] == 0 and a[-1].abs() < 1e-6


def test_a_new_denoiser_ignores_the_picture_and_a_seed_names_its_weights(method, generator):
    def build(seed):
        return method["Denoiser"](64, 4, 32, seeds.torch(seed, "weights"))

    model, x = build(1), torch.randn((5, 64), generator=generator)
    t, y = torch.rand((5, 1), generator=generator), torch.randn((5, 4), generator=generator)
    assert (model(x, t, y) == 0).all()
    same = zip(build(1).parameters(), model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in same)
    assert not torch.equal(build(2).enter.weight, model.enter.weight)
    torch.nn.init.ones_(model.leave.weight)
    one = model(x[:1], t[:1], y[:1])
    assert torch.allclose(model(x, t, y)[:1], one, atol=1e-4)  # rows do not mix
    assert not torch.allclose(model(x[:1], t[:1], y[1:2]), one)
    assert not torch.allclose(model(x[:1], t[1:2], y[:1]), one)


@pytest.mark.parametrize("scale", [2, 4])
def test_blur_averages_blocks_and_keeps_flat_pictures(method, scale, generator):
    x = torch.rand((3, 64), generator=generator)
    low, up = method["blur"](x, scale)
    side = 8 // scale
    blocks = x.view(3, side, scale, side, scale).mean((2, 4)).flatten(1)
    assert torch.allclose(low, blocks) and up.shape == (3, 64)
    flat = torch.full((2, 64), 0.4)
    assert torch.allclose(method["blur"](flat, scale)[1], flat)
    assert up.min() >= 0 and up.max() <= 1


def test_features_are_two_layers_of_equal_weight(method, generator):
    network = method["reader"](generator)
    x = torch.rand((6, 64), generator=generator)
    seen = method["features"](network, x)
    assert seen.shape == (6, 192)
    assert torch.allclose((seen[:, :128] ** 2).sum(1), torch.full((6,), 0.5), atol=1e-5)
    first = torch.relu(network[0](x))
    assert torch.allclose(seen[:, :128] * 2**0.5, first / first.norm(dim=1, keepdim=True))
    gap = method["distances"](seen[:3], seen[3:])
    assert ((gap >= 0) & (gap <= 2)).all()
    assert method["distances"](seen, seen).max() == 0


def test_components_are_those_of_the_analysis_of_variance(method):
    """Mean squares by loops; and on average the true variances."""
    rng = seeds.rng(4, "components")
    q = rng.normal(size=(5, 7)) + rng.normal(size=7) * 3
    starts, pictures, grand = q.mean(1), q.mean(0), q.mean()
    between = 7 * sum((s - grand) ** 2 for s in starts) / 4
    rest = sum((q[k, i] - starts[k] - pictures[i] + grand) ** 2 for k in range(5) for i in range(7))
    mean, shared, noise = method["components"](torch.tensor(q))
    assert mean == pytest.approx(grand)
    assert noise == pytest.approx(rest / 24)
    assert shared == pytest.approx((between - rest / 24) / 7)
    found = []
    for _ in range(300):
        q = 0.5 * rng.normal(size=(12, 1)) + rng.normal(size=20) + 2 * rng.normal(size=(12, 20))
        found.append(method["components"](torch.tensor(q))[1:])
    np.testing.assert_allclose(np.mean(found, axis=0), [0.25, 4], rtol=0.15)


def test_renumber_keeps_each_picture_and_breaks_the_starts(method, generator):
    q = torch.arange(40.0)[:, None] + 100 * torch.arange(30)
    mixed = method["renumber"](q, generator)
    assert torch.equal(mixed.sort(0).values, q)
    assert method["components"](q)[1] > 100 and abs(method["components"](mixed)[1]) < 15
    pictures = q[..., None].expand(40, 30, 3)  # whole pictures move
    moved = method["renumber"](pictures, seeds.torch(1, "renumber"))
    assert torch.equal(moved[..., 0], moved[..., 2])


def test_search_takes_the_smallest_mean(method):
    reference = np.array([[3.0, 1, 2], [1, 1, 1], [9, 0, 0]])
    best, seen, new = method["search"](reference, np.array([4.0, 3, 2]))
    assert best == 1
    assert seen == pytest.approx(1 / 2 - 1) and new == pytest.approx(0)


def test_a_search_among_equals_promises_what_it_does_not_keep(method):
    """The winner's curse: the expected minimum of K normals, and no gain on new pictures."""
    rng = seeds.rng(6, "curse")
    found = [
        method["search"](10 + rng.normal(size=(8, 4)), 10 + rng.normal(size=8))[1:]
        for _ in range(4000)
    ]
    seen, new = np.mean(found, axis=0)
    place = scipy_stats.norm.expect(lambda z: z * 8 * scipy_stats.norm.sf(z) ** 7)
    assert seen == pytest.approx(place / 2 / 10, rel=0.04)
    assert new == pytest.approx(0, abs=0.005)
