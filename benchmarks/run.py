"""Ratios for BENCHMARKS.md, each measured in one run on one machine: `make bench`.

Absolute seconds depend on the machine and its load; a ratio of two things done side by side says
something elsewhere too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seedbook.press import catalog, executor, runner
from seedbook.press.root import root as find_root

HERE = Path(__file__).resolve().parent


def timed(action) -> tuple[float, object]:
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def press(root: Path) -> None:
    """Wall time of all chapters through the press against the plain sum of their cells."""
    slugs = [c.slug for c in catalog.load(root).chapters if c.exists]
    for label, warm in (("warm kernels", True), ("ordinary kernels", False)):
        with tempfile.TemporaryDirectory() as shelf:
            plans = [
                runner.prepare(s, root=root, profile="smoke", shelf=Path(shelf), force=True)
                for s in slugs
            ]
            wall, runs = timed(lambda plans=plans, warm=warm: executor.execute(plans, warm=warm))
            cells = sum(sum(r.record["cells"].values()) for r in runs)
        print(
            f"press, {len(slugs)} chapters in smoke, {label}: {wall:.1f} s of wall time, {cells:.1f} s in "
            f"their cells: ratio {wall / cells:.2f} ({executor.cores()} cores)"
        )


def book(root: Path) -> None:
    """A `seedbook book` that finds everything current against one from nothing, and page weight."""
    command = [sys.executable, "-m", "seedbook.press.cli", "book"]
    shutil.rmtree(root / "_build", ignore_errors=True)
    first, _ = timed(lambda: subprocess.run(command, check=True, capture_output=True, cwd=root))
    again, _ = timed(lambda: subprocess.run(command, check=True, capture_output=True, cwd=root))
    print(f"book: first {first:.1f} s, again {again:.1f} s: ratio {again / first:.2f}")
    pages = sorted(
        (root / "_build" / "html" / "book").rglob("*.html"), key=lambda p: p.stat().st_size
    )
    sizes = [p.stat().st_size / 1e3 for p in pages]
    total = (
        sum(p.stat().st_size for p in (root / "_build" / "html").rglob("*") if p.is_file()) / 1e6
    )
    print(
        f"pages: {len(pages)}, median {sizes[len(sizes) // 2]:.0f} kB, largest {sizes[-1]:.0f} kB "
        f"({pages[-1].stem}); the whole site {total:.1f} MB"
    )


def script(name: str) -> None:
    """A benchmark that is a program of its own."""
    path = HERE / name
    if path.is_file():
        subprocess.run([sys.executable, str(path)], check=True)


def main() -> None:
    root = find_root()
    press(root)
    book(root)
    for name in ("lm_sampling.py", "training.py", "serve.py", "cluster.py"):
        script(name)


if __name__ == "__main__":
    main()
