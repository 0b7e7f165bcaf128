"""One small decoder, written out as nanoGPT is, with the switches that the chapters need.

Blocks are pre-norm and without biases. Positions are learned, rotary or none; attention is softmax
or linear, causal or not; a chapter may put modules of its own at four places of each block. All
weights are drawn from one explicit generator, so that equal streams give equal models.

>>> from seedbook import seeds
>>> model = Transformer(11, 8, d_model=16, generator=seeds.torch(0, "model"))
>>> model(torch.tensor([[3, 1, 4, 1, 5]])).shape
torch.Size([1, 5, 11])
>>> sum(p.numel() for p in model.parameters())
6704
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedbook.decoding import ancestral, draw

Rule = Callable[[Tensor], Tensor]
Mixers = Callable[[str, int], nn.Module | None]
Positions = Literal["learned", "rotary", "none"]
Attention = Literal["softmax", "linear"]
Norm = Literal["layer", "rms"]
MLP = Literal["gelu", "swiglu"]


class Transformer(nn.Module):
    r"""Decoder from token ids, or from token embeddings, to logits.

    Parameters
    ----------
    vocab_size, context : int
        Number of tokens; longest sequence.
    d_model, n_layers, n_heads : int
        Width, blocks, heads; the width is a multiple of the heads.
    d_ff : int, optional
        Hidden width of the MLP; four times the width if left out.
    positions : {"learned", "rotary", "none"}
        Added to the embeddings, turned into queries and keys (Su et al. 2021, base 10000, halves
        paired as in Llama), or left out.
    attention : {"softmax", "linear"}
        Linear attention has the feature map elu + 1 (Katharopoulos et al. 2020); with rotary
        positions its normaliser is not rotated (Su et al. 2021, equation 19). It is computed as
        a masked square: contexts are short here.
    causal : bool
        Whether a position sees earlier positions and itself only.
    norm : {"layer", "rms"}
        LayerNorm without bias, or RMSNorm; epsilon 1e-5.
    mlp : {"gelu", "swiglu"}
        ``swiglu`` is the gated MLP of Llama, silu(gate) * up.
    tied : bool
        Use the embedding as output matrix.
    mixers : callable, optional
        ``mixers(place, width)`` is called for the places A, B, C, D of each block in turn and
        returns a module from (batch, seq, width) to the same shape, or None. A: after the first
        norm; B: on queries, keys and values, side by side; C: after the second norm; D: inside
        the MLP before its activation (gate and up, side by side). Their weights are not touched.
    generator : torch.Generator
        On the CPU; ``seeds.torch(seed, "name")``. Draws all weights.
    gain, embedding_std : float
        Linear weights are N(0, gain^2 / fan_in), embeddings N(0, embedding_std^2); both matrices
        that write to the residual stream are divided by sqrt(2 n_layers) (Radford et al. 2019).
        At width 768 the default gain is GPT-2's 0.02.
    """

    angles: Tensor | None

    def __init__(
        self,
        vocab_size: int,
        context: int,
        *,
        d_model: int = 64,
        n_layers: int = 2,
        n_heads: int = 4,
        d_ff: int | None = None,
        positions: Positions = "learned",
        attention: Attention = "softmax",
        causal: bool = True,
        norm: Norm = "layer",
        mlp: MLP = "gelu",
        tied: bool = False,
        mixers: Mixers | None = None,
        generator: torch.Generator,
        gain: float = 0.55,
        embedding_std: float = 0.02,
    ) -> None:
        super().__init__()
        _check(positions=positions, attention=attention, norm=norm, mlp=mlp)
        if d_model % n_heads or (positions == "rotary" and d_model // n_heads % 2):
            raise ValueError(
                f"d_model = {d_model} and n_heads = {n_heads}: the width must be a multiple of the "
                f"heads, and with rotary positions each head must have an even width"
            )
        self.vocab_size, self.context = vocab_size, context
        residual = gain / math.sqrt(2 * n_layers)
        block = (d_model, n_heads, d_ff or 4 * d_model, attention, causal, norm, mlp, mixers)
        self.embedding = _table(vocab_size, d_model, embedding_std, generator)
        learned = positions == "learned"
        self.position = _table(context, d_model, embedding_std, generator) if learned else None
        angles = _angles(context, d_model // n_heads) if positions == "rotary" else None
        self.register_buffer("angles", angles, persistent=False)
        self.blocks = nn.ModuleList(
            Block(*block, gain, residual, generator) for _ in range(n_layers)
        )
        self.norm = _norm(norm, d_model)
        self.head = _linear(d_model, vocab_size, gain, generator)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor | None = None, *, embeddings: Tensor | None = None) -> Tensor:
        """Return the logits (batch, seq, vocab) at every position.

        Input is `ids` (batch, seq), or instead of them soft inputs: `embeddings`
        (batch, seq, d_model), on the scale of ``model.embedding.weight``.
        """
        return self.head(self.features(ids, embeddings=embeddings))

    def features(self, ids: Tensor | None = None, *, embeddings: Tensor | None = None) -> Tensor:
        """Return the last hidden states after the last norm, (batch, seq, d_model)."""
        if (ids is None) == (embeddings is None):
            raise ValueError("give ids or embeddings, one of the two")
        x = self.embedding(ids) if embeddings is None else embeddings  # (batch, seq, d_model)
        seq = x.shape[1]
        if seq > self.context:
            raise ValueError(f"{seq} tokens are too long for a context of {self.context}")
        if self.position is not None:
            x = x + self.position.weight[:seq]
        turn = None if self.angles is None else self.angles[:, :seq]
        for block in self.blocks:
            x = block(x, turn)
        return self.norm(x)


class Block(nn.Module):
    """Attention and MLP, each after a norm and added to what came in."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        attention: str,
        causal: bool,
        norm: str,
        mlp: str,
        mixers: Mixers | None,
        gain: float,
        residual: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_heads, self.attention, self.causal, self.mlp = n_heads, attention, causal, mlp
        d_in = 2 * d_ff if mlp == "swiglu" else d_ff
        self.norm1, self.norm2 = _norm(norm, d_model), _norm(norm, d_model)
        self.qkv = _linear(d_model, 3 * d_model, gain, generator)
        self.attention_out = _linear(d_model, d_model, residual, generator)
        self.mlp_in = _linear(d_model, d_in, gain, generator)
        self.mlp_out = _linear(d_ff, d_model, residual, generator)
        self.mixers = nn.ModuleDict()
        if mixers is not None:
            widths = (d_model, 3 * d_model, d_model, d_in)
            made = [(place, mixers(place, n)) for place, n in zip("ABCD", widths, strict=True)]
            self.mixers.update({place: mixer for place, mixer in made if mixer is not None})

    def forward(self, x: Tensor, turn: Tensor | None) -> Tensor:
        h = self._mix("A", self.norm1(x))
        x = x + self.attention_out(self._attend(h, turn))
        h = self._mix("D", self.mlp_in(self._mix("C", self.norm2(x))))
        if self.mlp == "swiglu":
            gate, up = h.chunk(2, dim=-1)
            return x + self.mlp_out(F.silu(gate) * up)
        return x + self.mlp_out(F.gelu(h))

    def _mix(self, place: str, x: Tensor) -> Tensor:
        return self.mixers[place](x) if place in self.mixers else x

    def _attend(self, x: Tensor, turn: Tensor | None) -> Tensor:
        batch, seq, width = x.shape
        qkv = self._mix("B", self.qkv(x)).view(batch, seq, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, seq, head_dim)
        if self.attention == "linear":
            y = _linear_attention(q, k, v, turn, self.causal)
        else:
            if turn is not None:
                q, k = _rotate(q, turn), _rotate(k, turn)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return y.transpose(1, 2).reshape(batch, seq, width)


def sample(
    model: Transformer,
    prompts: Tensor,
    n_new: int,
    *,
    generator: torch.Generator,
    rule: Rule = ancestral,
) -> Tensor:
    """Continue prompts (batch, seq) by `n_new` tokens each, under a rule of `seedbook.decoding`.

    Each prompt has its own row of uniform numbers, drawn beforehand from the generator: it is
    continued alike in any batch (but for rounding).

    Returns
    -------
    Tensor of int64, (batch, seq + n_new)
        Prompts and continuations, on the device of the model.
    """
    device = model.embedding.weight.device
    uniform = torch.rand(
        len(prompts), n_new, dtype=torch.float64, device=generator.device, generator=generator
    ).to(device)
    ids = prompts.to(device)
    with torch.no_grad():
        for step in range(n_new):
            logits = model.head(model.features(ids)[:, -1]).float()
            ids = torch.cat([ids, draw(rule(logits), uniform[:, step])[:, None]], dim=1)
    return ids


def token_log_probs(model: Transformer, ids: Tensor, *, batch_size: int = 512) -> Tensor:
    """Return log p(token | tokens before it), (batch, seq - 1), float32 on the CPU, in nats."""
    device = model.embedding.weight.device
    with torch.no_grad():
        parts = [
            -F.cross_entropy(
                model(part[:, :-1]).float().transpose(1, 2), part[:, 1:], reduction="none"
            ).cpu()
            for part in ids.to(device).split(batch_size)
        ]
    return torch.cat(parts)


def _linear_attention(q: Tensor, k: Tensor, v: Tensor, turn: Tensor | None, causal: bool) -> Tensor:
    q, k = F.elu(q) + 1, F.elu(k) + 1
    plain = q @ k.transpose(-2, -1)  # (batch, heads, seq, seq)
    weights = plain if turn is None else _rotate(q, turn) @ _rotate(k, turn).transpose(-2, -1)
    if causal:
        plain, weights = plain.tril(), weights.tril()
    return weights @ v / plain.sum(-1, keepdim=True)


def _angles(context: int, head_dim: int) -> Tensor:
    """Cosines and sines of position * 10000^(-2i / head_dim), (2, context, head_dim)."""
    rate = 10000.0 ** -(torch.arange(0, head_dim, 2) / head_dim)
    angle = torch.outer(torch.arange(context), rate).repeat(1, 2)
    return torch.stack([angle.cos(), angle.sin()])


def _rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate the pairs (i, i + half) of each head by its position's angles."""
    cos, sin = turn
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


def _norm(kind: str, width: int) -> nn.Module:
    return nn.RMSNorm(width, 1e-5) if kind == "rms" else nn.LayerNorm(width, bias=False)


def _linear(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=False)  # touches no global seed
    nn.init.normal_(linear.weight, 0, gain / math.sqrt(n_in), generator)
    return linear


def _table(rows: int, width: int, std: float, generator: torch.Generator) -> nn.Embedding:
    table = nn.utils.skip_init(nn.Embedding, rows, width)
    nn.init.normal_(table.weight, 0, std, generator)
    return table


def _check(**chosen: str) -> None:
    kinds = {"positions": Positions, "attention": Attention, "norm": Norm, "mlp": MLP}
    for name, value in chosen.items():
        if value not in (allowed := get_args(kinds[name])):
            raise ValueError(f"{name}={value!r}: allowed are {', '.join(map(repr, allowed))}")
