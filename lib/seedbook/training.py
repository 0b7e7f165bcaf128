"""One training loop: a batch per step, AdamW, warm-up and schedule, exact resume.

The batch is a function of the step, so a run that is stopped and resumed sees what an unbroken one
sees, and on a CPU with a fixed number of threads it ends in the same bytes.

>>> from seedbook import seeds
>>> from seedbook.transformer import Transformer
>>> model = Transformer(10, 8, d_model=16, generator=seeds.torch(0, "model"))
>>> counting = torch.arange(9).expand(4, 9)  # (batch, seq + 1)
>>> history, state = train(model, lambda step: counting, 20, lr=1e-2)
>>> bool(history["loss"].iloc[-1] < history["loss"].iloc[0])
True
>>> state["step"]
20
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

Batch = Tensor | tuple[Tensor, ...]
Schedule = Literal["constant", "cosine", "trapezoid"]


def resolve(device: str) -> torch.device:
    """Return the device that a name stands for; ``auto`` is CUDA where there is one, else the CPU.

    >>> resolve("cpu")
    device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def learning_rate(
    step: int, steps: int, lr: float, *, warmup: int = 0, schedule: Schedule = "cosine"
) -> float:
    """Return the learning rate of update number `step`, counted from 0, of `steps`.

    Parameters
    ----------
    lr : float
        Peak, reached after `warmup` updates of linear increase.
    schedule : {"constant", "cosine", "trapezoid"}
        What follows: nothing, half a cosine to 0, or `lr` up to 70 % of the updates and then a
        straight line to 0.

    Examples
    --------
    >>> [round(learning_rate(s, 8, 1.0, warmup=2), 2) for s in range(8)]
    [0.5, 1.0, 1.0, 0.93, 0.75, 0.5, 0.25, 0.07]
    """
    if step < warmup:
        return lr * (step + 1) / warmup
    if schedule == "constant":
        return lr
    if schedule == "cosine":
        return lr * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    if schedule == "trapezoid":
        return lr * min(1.0, (steps - step) / (0.3 * steps))
    raise ValueError(f"schedule={schedule!r}: allowed are 'constant', 'cosine', 'trapezoid'")


def next_token_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of the next token, in nats.

    The batch is ids (batch, seq + 1), or a pair of inputs and targets (batch, seq), in which
    targets of -100 do not count.
    """
    inputs, targets = (batch[:, :-1], batch[:, 1:]) if isinstance(batch, Tensor) else batch
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def train(
    model: nn.Module,
    data: Callable[[int], Batch],
    steps: int,
    *,
    lr: float,
    warmup: int = 0,
    schedule: Schedule = "cosine",
    betas: tuple[float, float] = (0.9, 0.95),
    weight_decay: float = 0.0,
    clip: float | None = 1.0,
    loss: Callable[[nn.Module, Any], Tensor] = next_token_loss,
    start: Mapping[str, Any] | None = None,
    stop: int | None = None,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    every: int = 100,
    compiled: bool = True,
    desc: str | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train a model in place, on the device it is on.

    Parameters
    ----------
    model : torch.nn.Module
    data : callable
        ``data(step)`` is the batch of update `step`, counted from 0; a tensor or a tuple of them,
        moved to the device of the model.
    steps : int
        Length of the whole run, which the schedule is stretched over.
    lr, warmup, schedule
        See `learning_rate`.
    betas, weight_decay
        Of AdamW. Weights of two dimensions or more decay, gains and other vectors do not.
    clip : float, optional
        Largest norm of the gradient; None does not clip.
    loss : callable
        ``loss(model, batch)``, a scalar.
    start : mapping, optional
        State that an earlier call returned: the run goes on there, model and optimiser included.
    stop : int, optional
        Number of updates after which to stop; `steps` if left out.
    evaluate : callable, optional
        Called as ``evaluate(model)``, without gradients, after each `every` updates and the last;
        returns numbers by name.
    compiled : bool
        Compile the model, on CUDA only. There the forward pass is in bfloat16 too.
    desc : str, optional
        Shows a progress bar of this name on stderr.

    Returns
    -------
    history : pandas.DataFrame
        One row an update: ``step`` (updates done with this one), ``loss`` (of its batch, before
        the update), ``lr``, and what `evaluate` returned, NaN in between.
    state : dict
        For `start`: ``step``, ``model``, ``optimizer``; copies, which later training leaves alone.

    Raises
    ------
    FloatingPointError
        If the loss was not finite.
    """
    device = next(model.parameters()).device
    cuda = device.type == "cuda"
    optimizer = _adamw(model, lr, betas, weight_decay)
    first = 0
    if start is not None:
        first = start["step"]
        model.load_state_dict(start["model"])
        optimizer.load_state_dict(copy.deepcopy(start["optimizer"]))
    last = steps if stop is None else stop
    if not 0 <= first <= last <= steps:
        raise ValueError(f"cannot train from step {first} to {last} of {steps}")
    runner: Any = torch.compile(model) if cuda and compiled else model
    losses, rows = [], []
    model.train()
    for step in tqdm(range(first, last), desc=desc, disable=desc is None, mininterval=0.5):
        rate = learning_rate(step, steps, lr, warmup=warmup, schedule=schedule)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = _move(data(step), device)
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            value = loss(runner, batch)
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(value.detach())  # a number only at the end: the GPU need not wait
        rows.append({"step": step + 1, "loss": math.nan, "lr": rate})
        if evaluate is not None and ((step + 1) % every == 0 or step + 1 == last):
            model.eval()
            with torch.no_grad():
                rows[-1].update(evaluate(model))
            model.train()
    model.eval()
    history = pd.DataFrame(rows, columns=None if rows else ["step", "loss", "lr"])
    if losses:
        history["loss"] = torch.stack(losses).double().cpu().numpy()
        bad = history["step"][~history["loss"].map(math.isfinite)]
        if len(bad):
            raise FloatingPointError(
                f"the loss of update {bad.iloc[0]} is not finite: lower lr = {lr} or warm up longer"
            )
    state = {"step": last, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return history, copy.deepcopy(state)


def draw_perceptrons(n: int, sizes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Draw `n` perceptrons at once, each layer uniform as `torch.nn.Linear` draws it.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of units, from the features to the outputs.

    Returns
    -------
    list of Tensor
        Matrices (n, inputs, outputs) and offsets (n, 1, outputs) in turns, uniform in
        ``[-1/sqrt(inputs), 1/sqrt(inputs))``, on the device of the generator.
    """

    def draw(inputs: int, rows: int, outputs: int) -> Tensor:
        u = torch.rand((n, rows, outputs), generator=generator, device=generator.device)
        return (2 * u - 1) / inputs**0.5

    return [draw(a, rows, b) for a, b in itertools.pairwise(sizes) for rows in (a, 1)]


def perceptrons(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return the outputs (networks, cases, outputs) of `draw_perceptrons` with ReLU in between.

    Parameters
    ----------
    weights : sequence of Tensor
        As `draw_perceptrons` gives them.
    x : Tensor
        Cases of each network, (networks, cases, features).

    Examples
    --------
    >>> weights = draw_perceptrons(3, [4, 8, 2], torch.Generator().manual_seed(0))
    >>> tuple(perceptrons(weights, torch.zeros(3, 5, 4)).shape)
    (3, 5, 2)
    """
    *inner, matrix, offset = weights
    for w, b in zip(inner[::2], inner[1::2], strict=True):
        x = torch.relu(torch.baddbmm(b, x, w))
    return torch.baddbmm(offset, x, matrix)


def _adamw(
    model: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float
) -> torch.optim.AdamW:
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def _move(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    return tuple(part.to(device, non_blocking=True) for part in batch)
