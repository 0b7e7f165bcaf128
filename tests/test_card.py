"""Every chapter that can use a GPU, on a stand-in for one; and that the stand-in sees slips."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from seedbook.press import catalog, chapter

HERE = Path(__file__).parent
BOOK = catalog.load(HERE.parent)
USING = [  # chapters whose experiments read `device`
    c.slug for c in BOOK.chapters if c.exists and chapter.read(c.slug, HERE.parent).uses_device
]


@pytest.mark.slow
@pytest.mark.parametrize("slug", USING)
def test_a_chapter_runs_on_a_gpu(slug):
    command = [sys.executable, str(HERE / "card.py"), slug, "smoke"]
    environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 100


SLIPS = """
from card import card
import numpy as np, torch
from torch import nn
from seedbook import seeds
with card():
    x = torch.ones(3, device="cuda")
    assert str(x.device) == "cuda:0" and x.is_cuda and (2 * x).sum().item() == 6
    assert torch.arange(3, device="cuda")[[0, 2]].tolist() == [0, 2]
    draw = seeds.torch(0, "draw", "cuda")
    assert torch.equal(
        torch.rand(5, generator=draw, device="cuda").cpu(),
        torch.rand(5, generator=seeds.torch(0, "draw")),
    )
    layer = nn.Linear(3, 2).to("cuda")
    layer(x).sum().backward()
    assert layer.weight.grad.is_cuda
    {slip}
"""


@pytest.mark.parametrize(
    "slip, said",
    [
        ("pass", None),
        ("x + torch.ones(3)", "operands on cuda:0 and cpu"),
        ("x.numpy()", "numpy"),
        ("np.asarray(x)", "numpy"),
        ("nn.Linear(3, 2)(x)", "operands on cuda:0 and cpu"),
        ("torch.rand(3, generator=draw)", "expected a generator on cpu"),
        (
            "torch.rand(3, generator=torch.Generator(), device='cuda')",
            "expected a generator on cuda",
        ),
        ("torch.ones(3)[torch.tensor([0], device='cuda')]", "indices on cuda:0"),
    ],
)
def test_slips_show(slip, said):
    done = subprocess.run(
        [sys.executable, "-c", SLIPS.format(slip=slip)], capture_output=True, text=True, cwd=HERE
    )
    if said is None:
        assert done.returncode == 0, done.stderr[-2000:]
    else:
        assert done.returncode and said in done.stderr.splitlines()[-1].lower(), done.stderr[-800:]
