"""A stand-in for a CUDA device, made of the processor's memory: what is on it, and what is not.

Tensors on it say ``cuda:0`` and are computed by the processor, so that code that was written for a
GPU runs where there is none, and slips show as they would on one: operands on two devices, a
generator of the wrong device, a NumPy array of what was not brought back. It says nothing of speed,
of rounding, or of what `torch.compile` and bfloat16 do. Run a chapter on it, and see how many
operations it computed there:

    python tests/card.py canon_layers smoke
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

INSIDE, CARD = torch.device("privateuseone:0"), torch.device("cuda:0")
aten = torch.ops.aten
MAY_MIX = {  # operators that take operands of two devices
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}


class OnCard(torch.Tensor):
    """A tensor that says it is on the card; `inner` holds its numbers."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=INSIDE,
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @property
    def device(self) -> torch.device:
        return CARD

    @property
    def is_cuda(self) -> bool:
        return True

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __repr__(self) -> str:
        return f"OnCard({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _call(function, args, kwargs or {})


Plain = torch.Generator


class CardGenerator(Plain):
    """A generator that says it draws on the card."""

    def __new__(cls, device: Any = "cpu"):
        return super().__new__(cls if str(device).startswith("cuda") else Plain)

    @property
    def device(self) -> torch.device:
        return CARD


done = 0  # operations with a tensor on the card


def _call(function, args, kwargs):
    global done
    leaves = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    on = [x for x in leaves if isinstance(x, OnCard)]
    off = [x for x in leaves if not isinstance(x, OnCard) and x.ndim]
    if on and off and function not in MAY_MIX:
        raise RuntimeError(f"{function}: operands on cuda:0 and cpu, shapes {_shapes(on, off)}")
    if off and function in MAY_MIX and not isinstance(args[0], OnCard):
        if any(isinstance(x, OnCard) for x in tree_leaves(args[1:])) and "index" in str(function):
            raise RuntimeError(f"{function}: indices on cuda:0 of a tensor on cpu")
    if function is aten._fused_sdp_choice.default:
        return 0  # the plain one: the fused ones differ by device
    asked = kwargs.get("device")
    goes = bool(on) if asked is None else torch.device(asked) == INSIDE
    if function is aten.copy_.default:
        goes = isinstance(args[0], OnCard)
    done += goes
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    inside = tree_map_only(OnCard, lambda x: x.inner, (args, kwargs))
    out = function(*inside[0], **inside[1])
    known = {id(x.inner): x for x in on}  # an operator in place returns what it was given

    def wrap(x):
        if id(x) in known:
            return known[id(x)]
        return OnCard(x) if goes else x

    return tree_map_only(torch.Tensor, wrap, out)


def _shapes(*groups) -> list[tuple[int, ...]]:
    return [tuple(x.shape) for group in groups for x in group]


class _Makes(TorchDispatchMode):
    """What is made on the card, from nothing."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _call(function, args, kwargs or {})


class _Draws(TorchFunctionMode):
    """Every generator is of the device it draws for."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.device:
            return function(*args, **(kwargs or {}))
        args, kwargs = tree_map_only((torch.device, str), _placed, (args, kwargs or {}))
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _index(args[1]), *args[2:])
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == INSIDE:
            return function(*args, **kwargs | {"device": None}).to(INSIDE)  # C++ goes its own way
        generator = kwargs.get("generator")
        if generator is not None:
            given = (*args, *kwargs.values())
            first = next((x for x in given if isinstance(x, torch.Tensor)), None)
            there = kwargs.get("device") or (first.device if first is not None else "cpu")
            there = CARD if there == INSIDE else torch.device(there)
            if there.type != generator.device.type:
                raise RuntimeError(
                    f"{function.__name__}: expected a generator on {there}, got one on "
                    f"{generator.device}"
                )
        return function(*args, **kwargs)


def _index(index: Any) -> Any:
    """An index without lists, of which C++ would make tensors on a device it does not have."""
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    return torch.tensor(list(index)) if isinstance(index, (list, range)) else index


def _placed(where: torch.device | str) -> torch.device | str:
    return INSIDE if str(where) in ("cuda", "cuda:0") else where


@contextlib.contextmanager
def card() -> Iterator[None]:
    """Within, there is a CUDA device. Nothing is compiled on it. Once a process, for it stays."""
    _setup_privateuseone_for_python_backend("card")  # what autograd asks of a device
    same = lambda model=None, **options: model  # noqa: E731
    with contextlib.ExitStack() as stack:
        for name, value in {
            "torch.cuda._lazy_init": lambda: None,
            "torch.cuda.is_available": lambda: True,
            "torch.cuda.device_count": lambda: 1,
            "torch.cuda.is_bf16_supported": lambda: True,
            "torch.Generator": CardGenerator,
            "torch.compile": same,
            "torch.inference_mode": torch.no_grad,  # whose tensors have no views of subclasses
        }.items():
            stack.enter_context(mock.patch(name, value))
        swap = torch.__future__.get_swap_module_params_on_conversion()
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swap)
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.enter_context(_Draws())
        stack.enter_context(_Makes())
        yield


if __name__ == "__main__":
    from seedbook.press import runner

    with card():
        runner.in_process(*sys.argv[1:3], {"device": "cuda"})
    print(done)
