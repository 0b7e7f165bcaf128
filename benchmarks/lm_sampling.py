"""Tokens per second of `seedbook.lm.sample` beside transformers' own `generate`.

Both continue the same prompts of one length with the same model, in turns, so that a busy machine
slows both. Run: python benchmarks/lm_sampling.py --batch 32 --tokens 64
"""

import argparse
import time

import torch
from seedbook import decoding, lm, seeds
from transformers.utils import logging

PROMPT = "The lighthouse keeper had not spoken to anyone for eleven days when"
OFF = {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0}
RULES = {  # name: (our rule, the same for `generate`)
    "ancestral": (decoding.ancestral, OFF),
    "nucleus 0.9": (decoding.nucleus(0.9), OFF | {"top_p": 0.9}),
    "typical 0.2": (decoding.typical(0.2), OFF | {"typical_p": 0.2}),
    "top-k 30": (decoding.top_k(30), OFF | {"top_k": 30}),
}


def seconds(function) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--model", default=lm.DEFAULT)
    options = parser.parse_args()
    logging.set_verbosity_error()

    model = lm.load(options.model, dtype=options.dtype)
    generator = seeds.torch(0, "benchmark")
    prompt = torch.tensor([model.encode(PROMPT)], device=model.device)
    prompts = prompt.expand(options.batch, -1).contiguous()
    total = options.batch * options.tokens

    for name, (rule, settings) in RULES.items():

        def ours(rule=rule):
            lm.sample(
                model, prompts.tolist(), options.tokens, rule, generator=generator, stop=False
            )

        def theirs(settings=settings):
            length = {"min_new_tokens": options.tokens, "max_new_tokens": options.tokens}
            model.model.generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                pad_token_id=0,
                **settings,
                **length,
            )

        times = [(seconds(ours), seconds(theirs)) for _ in range(options.rounds)]
        a, b = (min(side) for side in zip(*times, strict=True))
        print(
            f"{name:12s} batch {options.batch}: seedbook {total / a:6.0f} tokens/s, "
            f"generate {total / b:6.0f} tokens/s, ratio {b / a:.2f}"
        )


if __name__ == "__main__":
    main()
