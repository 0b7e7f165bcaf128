"""Does a chapter say the same when its networks learn in bfloat16, as they do on a GPU?

Runs the chapter twice on the processor with one seed: as it is, and with the forward passes of
`seedbook.training.train` in bfloat16. Prints the verdicts that differ and the numbers that moved
most. Run: python benchmarks/bfloat16.py canon_layers --profile sweep --seed 101
"""

import argparse
import json
import subprocess
import sys
from unittest import mock

import torch
from seedbook import claims
from seedbook.press import runner


def judged(slug: str, profile: str, seed: int, half: bool) -> dict:
    """The claims record of a run in this process, without figures."""
    real, used = torch.autocast, []

    def cast(device: str, dtype: torch.dtype, enabled: bool = True):
        used.append(device)
        return real(device, dtype, enabled=half)

    with mock.patch("torch.autocast", cast):
        given = {"device": "cpu", "seed": seed}
        space = runner.in_process(slug, profile, given, figures=False)
    if not used:
        raise SystemExit(f"{slug} does not use seedbook.training.train")
    return next(v for v in space.values() if isinstance(v, claims.Ledger)).record()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slug")
    parser.add_argument("--profile", default="sweep")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--half", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.half:
        record = judged(options.slug, options.profile, options.seed, True)
        print(json.dumps(record))
        return
    # in a process of its own: a run keeps its frames in a folder of the process
    again = subprocess.run(
        [sys.executable, *sys.argv, "--half"], stdout=subprocess.PIPE, text=True, check=True
    )
    half = json.loads(again.stdout.splitlines()[-1])
    full = judged(options.slug, options.profile, options.seed, False)
    pairs = {k: (v["verdict"], half["verdicts"][k]["verdict"]) for k, v in full["verdicts"].items()}
    differing = {k: pair for k, pair in pairs.items() if pair[0] != pair[1]}
    for name, (before, after) in differing.items():
        print(f"{name}: {before}, in bfloat16 {after}")
    moved = []
    for name, measure in full["measures"].items():
        a, b = measure["estimate"], half["measures"][name]["estimate"]
        if None not in (a, b, measure["low"]) and measure["high"] > measure["low"]:
            moved.append((2 * abs(a - b) / (measure["high"] - measure["low"]), name, a, b))
    share, name, a, b = max(moved)
    print(
        f"{options.slug}: {len(pairs) - len(differing)} of {len(pairs)} verdicts are the same; {name} moved "
        f"most, from {a:.4g} to {b:.4g}, {share:.2f} times half its interval"
    )


if __name__ == "__main__":
    main()
