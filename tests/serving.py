"""A served tiny book, for the tests of the reader's server over HTTP and in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import requests
from tiny import Book

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]


def reader_book(root: Path) -> Book:
    """The tiny book with a parameter that makes its run wait, run once and published."""
    from seedbook.press import editions, runner

    book = Book(root)
    margin = "margin: float = 0.2  # (0, 5] of the mean around 3.5"
    wide = margin.replace("0.2", "0.5")  # supported, whatever the seed
    book.edit("parameters", margin, wide + "\npause: float = 0.0  # [0, 60] seconds to wait")
    book.edit("setup", "import matplotlib", "import time\n\nimport matplotlib")
    book.edit("throws", "if salmon:", "time.sleep(pause)\nif salmon:")
    before = os.environ.get("SEEDBOOK_ROOT")
    os.environ["SEEDBOOK_ROOT"] = str(root)
    try:
        editions.publish(runner.run("dice", root=root), root)
    finally:
        os.environ.pop("SEEDBOOK_ROOT")
        if before is not None:
            os.environ["SEEDBOOK_ROOT"] = before
    return book


def published(root: Path) -> str:
    """Name of the run that the tiny book has published."""
    return json.loads((root / "book/editions/dice/quick/run.json").read_text())["run"]


def until(what: Callable[[], object], seconds: float = 20.0) -> object:
    """Wait until something is true; its value."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
    return value


class Served:
    """``seedbook serve`` in a process of its own."""

    def __init__(self, root: Path, *options: str):
        self.root = root
        self.log = root.parent / f"serve-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "seedbook.press.cli", "serve", "--no-browser"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [*command, "--port", "0", *options],
                env=os.environ | {"SEEDBOOK_ROOT": str(root)},
                stdout=log,
                stderr=log,
            )
        until(lambda: "Ctrl-C" in self.said or self.process.poll() is not None, 60)
        found = re.search(r"http\S+token=(\S+)", self.said)
        assert found, self.said
        self.url, self.token = found.group(0), found.group(1)
        parts = urlsplit(self.url)
        self.base, self.port = f"http://{parts.netloc}", parts.port
        until(self._answers, 60)

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.base}/login", timeout=5).ok
        except requests.ConnectionError:
            return False

    def reader(self) -> requests.Session:
        """A browser of a reader who has opened the printed address."""
        session = requests.Session()
        assert session.get(self.url, timeout=20).ok
        session.headers["X-XSRFToken"] = session.cookies["_xsrf"]
        session.headers["Origin"] = self.base
        return session

    def family(self) -> list[psutil.Process]:
        """The server and all that it has started, forked kernels as well."""
        try:
            me = psutil.Process(self.process.pid)
            return [me, *me.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        return self.process.wait(30)


def tree(root: Path) -> dict[str, int]:
    """Every file below a folder with its time of change."""
    return {
        str(p.relative_to(root)): p.stat().st_mtime_ns
        for p in sorted(root.rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    }
