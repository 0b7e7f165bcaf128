"""Tokens per second of `seedbook.training.train` beside a plain nanoGPT-style loop of equal size.

The plain side is written out here as nanoGPT writes it: a GPT without biases and a loop around
AdamW with clipping, bfloat16 and `torch.compile` on CUDA. Both train on the same batches in turns,
so that a busy machine slows both. Run: python benchmarks/training.py --width 64 --steps 200
"""

import argparse
import math
import time

import torch
from seedbook import seeds
from seedbook.training import resolve, train
from seedbook.transformer import Transformer
from torch import nn
from torch.nn import functional as F


class PlainBlock(nn.Module):
    """nanoGPT's block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width, bias=False)
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)
        self.ln_2 = nn.LayerNorm(width, bias=False)
        self.c_fc = nn.Linear(width, 4 * width, bias=False)
        self.gelu = nn.GELU()
        self.mlp_proj = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        batch, seq, width = x.size()
        q, k, v = self.c_attn(self.ln_1(x)).split(width, dim=2)
        k = k.view(batch, seq, self.heads, width // self.heads).transpose(1, 2)
        q = q.view(batch, seq, self.heads, width // self.heads).transpose(1, 2)
        v = v.view(batch, seq, self.heads, width // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(batch, seq, width))
        return x + self.mlp_proj(self.gelu(self.c_fc(self.ln_2(x))))


class PlainGPT(nn.Module):
    """nanoGPT's model, returning logits and loss."""

    def __init__(self, vocab: int, context: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(PlainBlock(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width, bias=False)
        self.lm_head = nn.Linear(width, vocab, bias=False)

    def forward(self, idx, targets):
        pos = torch.arange(idx.shape[1], dtype=torch.long, device=idx.device)
        x = self.wte(idx) + self.wpe(pos)
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))


def plain_loop(model: nn.Module, data, steps: int, lr: float, device: torch.device) -> None:
    """nanoGPT's loop: learning rate, forward, backward, clip, step."""
    cuda = device.type == "cuda"
    decay = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=cuda)
    runner = torch.compile(model) if cuda else model
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * lr * (1 + math.cos(math.pi * step / steps))
        batch = data(step).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            _, loss = runner(batch[:, :-1], batch[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    loss.item()


def seconds(function, device: torch.device) -> float:
    """CPU time of one call, or wall time where a GPU does the work."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    start = clock()
    function()
    return clock() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=256)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = resolve(options.device)

    size = (options.vocab, options.context)
    generator = seeds.torch(0, "benchmark")
    ids = torch.randint(
        options.vocab, (options.steps, options.batch, options.context + 1), generator=generator
    )
    ours = Transformer(
        *size,
        d_model=options.width,
        n_layers=options.layers,
        n_heads=options.heads,
        generator=generator,
    ).to(device)
    plain = PlainGPT(*size, options.width, options.layers, options.heads).to(device)
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, plain)]
    assert counts[0] == counts[1], counts

    def data(step):
        return ids[step]

    def by_train():
        train(ours, data, options.steps, lr=1e-3, weight_decay=0.1)

    def by_hand():
        plain_loop(plain, data, options.steps, 1e-3, device)

    by_train()  # compile, warm up
    by_hand()
    times = [(seconds(by_train, device), seconds(by_hand, device)) for _ in range(options.rounds)]
    a, b = (min(side) for side in zip(*times, strict=True))
    tokens = options.steps * options.batch * options.context
    print(
        f"{counts[0]} weights, batch {options.batch} x {options.context}, {device}: "
        f"seedbook {tokens / a:.0f} tokens/s, plain {tokens / b:.0f} tokens/s, ratio {b / a:.2f}"
    )


if __name__ == "__main__":
    main()
