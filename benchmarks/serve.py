"""How long a reader waits for a figure under `seedbook serve`, and what a kernel weighs.

Cold: the click comes the moment the server answers. Warm: ten seconds later. Both with a new page,
whose kernel has to start; *later* is the same page again. Needs a built book with an edition.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from pathlib import Path

import psutil
from seedbook.press import catalog, chapter, editions
from seedbook.press.root import root as find_root

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from serving import Served

WARM_UP_S, LATER, PAGES = 10.0, 5, 4


class Page:
    """A reader's open page."""

    def __init__(self, served: Served, body: dict[str, str]):
        self.served, self.session = served, served.reader()
        self.body = {**body, "tab": uuid.uuid4().hex}

    def run(self, source: str | None = None) -> tuple[float, dict]:
        """Seconds from the click to the answer, and the answer."""
        body = self.body if source is None else {**self.body, "source": source}
        begun = time.perf_counter()
        answer = self.session.post(
            f"{self.served.base}/seedbook/api/view", json=body, timeout=120
        ).json()
        seconds = time.perf_counter() - begun
        assert answer["error"] is None, answer
        return seconds, answer

    def megabytes(self) -> float:
        """Memory that this page's kernel shares with nobody."""
        pid = int(self.run("import os; print(os.getpid())")[1]["text"])
        return psutil.Process(pid).memory_full_info().uss / 1e6


def main() -> None:
    root = find_root()
    shown = [(c, e) for c in catalog.load(root).chapters for e in editions.shown(c, root)[:1]]
    if not shown or not (root / "_build" / "html" / "index.html").is_file():
        sys.exit("needs a built book with a chapter to show: run `seedbook book`")
    entry, edition = shown[0]
    cell = next(c for c in chapter.read(entry.slug, root).stage("view") if c.figure)
    body = {
        "slug": entry.slug,
        "run": edition.run["run"],
        "cell": cell.id,
        "source": cell.source,
    }
    first = {}
    for label, options in (("warm parent", ()), ("ordinary kernels", ("--no-warm",))):
        begun = time.perf_counter()
        served = Served(root, *options)
        ready = time.perf_counter() - begun
        try:
            cold, _ = Page(served, body).run()
            time.sleep(WARM_UP_S)
            pages = [Page(served, body) for _ in range(PAGES)]
            opened = [p.run()[0] for p in pages]
            later = [pages[0].run()[0] for _ in range(LATER)]
            weights = [p.megabytes() for p in pages]
        finally:
            served.stop()
        first[label] = statistics.median(opened)
        print(
            f"serve, {entry.slug} {cell.id}, {label}: server up in {ready:.1f} s; first picture "
            f"{cold:.1f} s cold, {first[label]:.1f} s warm; later {statistics.median(later):.2f} s; "
            f"{statistics.median(weights):.0f} MB a kernel of its own"
        )
    ratio = first["warm parent"] / first["ordinary kernels"]
    print(f"serve: first picture of a page, forked against ordinary kernel: ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
