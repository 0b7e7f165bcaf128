"""Figures redrawn for a reader: one warm kernel per open page, which sees stored frames only.

A draw gives the kernel what the press gives a view cell in a redraw: the parameters of the run, the
imports it needs, claims and unfigured view cells it reads from, a copy of the run's frames, and
``SEEDBOOK_STAGE=view``.  Then the reader's source, as one cell, so that line numbers are theirs.

A kernel is culled when idle, limited in memory and in time, and ends with this process, however
that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import psutil

from . import chapter, store
from .warm import INLINE, WarmKernelManager, WarmParent, thread_environment

THREADS = 1  # a view draws; it needs no more
IDLE_S, DRAW_LIMIT_S, MEMORY_MB = 900.0, 60.0, 2048
TEXT_LIMIT, IMAGE_LIMIT = 20_000, 8_000_000  # characters
FOLDER = "seedbook-serve-"
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# Sent once to a new kernel: tracebacks without colour, and the cap on address space.
_INIT = """
get_ipython().run_line_magic("colors", "nocolor")
get_ipython().run_line_magic("xmode", "Plain")
try:
    import resource
    with open("/proc/self/statm") as f:
        cap = int(f.read().split()[0]) * resource.getpagesize() + {bytes}
    resource.setrlimit(resource.RLIMIT_AS, (cap, cap))
except (ImportError, OSError, ValueError):
    pass
"""
_FRESH = """
import sys
if "matplotlib.pyplot" in sys.modules:
    sys.modules["matplotlib.pyplot"].close("all")
get_ipython().reset(new_session=False, aggressive=False)
"""


class ViewError(ValueError):
    """A draw that cannot be made, in one line."""


class Busy(ViewError):
    """No kernel is free."""


@dataclass(frozen=True)
class Draw:
    """What a kernel is given: `preamble`, then `source`, over the frames in `frames`."""

    slug: str
    run: str
    preamble: str
    source: str
    frames: Path
    profile: str


def preamble(source: chapter.Source, cell: chapter.Cell, values: dict[str, Any]) -> str:
    """Code that a view cell finds done before it: parameters, imports, claims, earlier views.

    Parameters
    ----------
    source : Source
        The chapter.
    cell : Cell
        The figure's cell, perhaps with edited source; one that does not parse needs nothing.
    values : dict
        Parameters of the run whose frames are drawn.
    """
    try:
        needed = set(cell.names[1])
    except (SyntaxError, ValueError):
        needed = set()
    before: list[str] = []
    views = source.stage("claims", "view")
    place = next(i for i, c in enumerate(views) if c.id == cell.id)
    for earlier in reversed(views[:place]):
        bound, read = earlier.names
        if not earlier.figure and bound & needed:
            before.insert(0, earlier.source)
            needed |= read
    literals = [f"{name} = {value!r}" for name, value in values.items()]
    return "\n".join([*literals, chapter.pruned_setup(source, needed), *before])


def plan(root: Path, run: store.Run, slug: str, cell_id: str, text: str) -> Draw:
    """Resolve a draw of a figure cell of a chapter over the frames of a run or an edition.

    Raises
    ------
    ViewError, ChapterError, StoreError
        One line; no kernel has been touched.
    """
    source = chapter.read(slug, root)
    cells = {c.id: c for c in source.stage("view") if c.figure}
    if cell_id not in cells:
        raise ViewError(f"{slug} has no figure cell {cell_id!r}; it has {', '.join(cells)}")
    old = cells[cell_id]
    edited = chapter.Cell(old.id, old.stage, text, old.metadata)
    record = run.record
    return Draw(
        slug,
        record["run"],
        preamble(source, edited, record["parameters"]),
        text,
        run.folder / "frames",
        record["profile"],
    )


class Kernel:
    """The kernel of one open page, for one run of one chapter."""

    def __init__(self, slug: str, run: str):
        self.slug, self.run = slug, run
        self.lock = asyncio.Lock()
        self.used = time.monotonic()
        self.started = False
        self.gone = False
        self.manager: Any = None
        self.client: Any = None
        self.folder: Path | None = None

    async def start(self, root: Path, draw: Draw, address: str | None, memory_mb: int) -> None:
        """Fork or start the process and wait until it answers."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
        frames = self.folder / "frames"
        await asyncio.to_thread(shutil.copytree, draw.frames, frames)
        for path in frames.iterdir():
            path.chmod(0o444)
        (self.folder / "cwd").mkdir()
        env = os.environ | thread_environment(THREADS)
        env.update(
            MPLBACKEND=INLINE,
            TOKENIZERS_PARALLELISM="false",
            SEEDBOOK_ROOT=str(root),
            SEEDBOOK_FRAMES=str(frames),
            SEEDBOOK_STAGE="view",
            SEEDBOOK_PROFILE=draw.profile,
            IPYTHONDIR=str(self.folder / "ipython"),
        )
        env.pop("SEEDBOOK_THUMBNAIL", None)
        env.pop("SEEDBOOK_WARM", None)
        if address:
            env["SEEDBOOK_WARM"] = address
        self.manager = WarmKernelManager(kernel_name="python3")
        await self.manager.start_kernel(
            env=env,
            cwd=str(self.folder / "cwd"),
            extra_arguments=["--HistoryManager.hist_file=:memory:"],
        )
        self.client = self.manager.client()
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=120)
        await self._execute(_INIT.format(bytes=memory_mb << 20), 30)
        self.started = True

    async def draw(self, what: Draw) -> dict[str, Any]:
        """Execute preamble and source in a fresh namespace; see `Views.draw` for the answer."""
        begun = time.monotonic()
        await self._execute(_FRESH, DRAW_LIMIT_S)
        before = await self._execute(what.preamble, DRAW_LIMIT_S)
        out = before if before["error"] else await self._execute(what.source, DRAW_LIMIT_S)
        return {**out, "seconds": round(time.monotonic() - begun, 2)}

    async def _execute(self, code: str, limit_s: float) -> dict[str, Any]:
        out: dict[str, Any] = {"image": None, "text": "", "error": None}
        asked = self.client.execute(code, store_history=False, allow_stdin=False)
        end = time.monotonic() + limit_s
        while True:
            try:
                message = await self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                if self.gone or not await self.manager.is_alive():
                    raise ViewError("the kernel of this page has ended; run again") from None
                if time.monotonic() > end:
                    raise ViewError(
                        f"stopped: longer than {limit_s:.0f} s; a view only draws what is stored"
                    ) from None
                continue
            if time.monotonic() > end:
                raise ViewError(f"stopped: longer than {limit_s:.0f} s, with output all the while")
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return out
            _collect(out, kind, content)

    async def stop(self) -> None:
        """End the process and remove what it had."""
        self.gone = True
        if self.client is not None:
            self.client.stop_channels()
        if self.manager is not None and self.manager.has_kernel:
            with contextlib.suppress(Exception):  # it is dead already
                await self.manager.shutdown_kernel(now=True)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _collect(out: dict[str, Any], kind: str, content: dict[str, Any]) -> None:
    """Add one message of a kernel to an answer."""
    if kind == "stream":
        _say(out, content["text"])
    elif kind in ("display_data", "execute_result"):
        data = content["data"]
        for mime in ("image/svg+xml", "image/png"):
            if mime in data:
                if len(data[mime]) > IMAGE_LIMIT:
                    _say(out, f"\n(a picture of {len(data[mime]) / 1e6:.0f} MB is not shown)\n")
                    return
                out["image"] = {"mime": mime, "data": data[mime]}
                return
        _say(out, data.get("text/plain", "") + "\n")
    elif kind == "error":
        trace = ANSI.sub("", "\n".join(content["traceback"]))
        out["error"] = {
            "name": content["ename"][:200],
            "value": ANSI.sub("", content["evalue"])[:2000],
            "traceback": trace[-TEXT_LIMIT:],
        }


def _say(out: dict[str, Any], text: str) -> None:
    out["text"] = (out["text"] + ANSI.sub("", text))[:TEXT_LIMIT]


class Views:
    """The kernels of all open pages.

    Parameters
    ----------
    root : Path
        The book.
    at_most : int
        Kernels at the same time; the longest unused one gives way.
    idle_s : float
        Seconds after which an unused kernel is culled.
    memory_mb : int
        Address space that a view may add to its kernel's own.
    modules : list of str
        What views import, for the warm parent; None for no parent.
    """

    def __init__(
        self,
        root: Path,
        at_most: int = 8,
        idle_s: float = IDLE_S,
        memory_mb: int = MEMORY_MB,
        modules: list[str] | None = None,
    ):
        self.root, self.at_most = root, at_most
        self.idle_s, self.memory_mb = idle_s, memory_mb
        self.kernels: dict[str, Kernel] = {}
        self._parent = None if modules is None else WarmParent(modules, threads=THREADS)
        self._culler: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Future[None]] = set()

    def start(self) -> None:
        """Start the warm parent and the culler; needs a running event loop."""
        _sweep()
        if self._parent:
            self._parent.start()
        self._culler = asyncio.ensure_future(self._cull())

    async def draw(self, tab: str, what: Draw) -> dict[str, Any]:
        """Draw in the kernel of a page.

        Returns
        -------
        dict
            ``image`` (``mime`` and ``data``, base64 for PNG; or None), ``text`` printed, ``error``
            (``name``, ``value``, ``traceback``; or None), ``seconds``.

        Raises
        ------
        Busy
            When all kernels are at work.
        ViewError
            When the kernel ended or had to be ended.
        """
        kernel = self.kernels.get(tab)
        if kernel is not None and (kernel.slug, kernel.run) != (what.slug, what.run):
            await self.close(tab)
            kernel = None
        if kernel is None:
            await self._make_room()
            kernel = self.kernels[tab] = Kernel(what.slug, what.run)
        async with kernel.lock:
            try:
                if not kernel.started:
                    address = self._parent.address if self._parent else None
                    await kernel.start(self.root, what, address, self.memory_mb)
                return await kernel.draw(what)
            except BaseException as error:
                if self.kernels.get(tab) is kernel:
                    del self.kernels[tab]
                stopped = kernel.gone
                await kernel.stop()
                if stopped:
                    raise ViewError("stopped") from None
                if isinstance(error, (ViewError, asyncio.CancelledError)):
                    raise
                raise ViewError(
                    f"the kernel did not start or answer ({type(error).__name__}: {error})"
                ) from None
            finally:
                kernel.used = time.monotonic()

    async def close(self, tab: str) -> bool:
        """End the kernel of a page; False if it had none."""
        kernel = self.kernels.pop(tab, None)
        if kernel is None:
            return False
        ending = asyncio.ensure_future(kernel.stop())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        await asyncio.shield(ending)  # whoever waits may be cancelled; the kernel ends
        return True

    async def stop(self) -> None:
        """End everything."""
        if self._culler:
            self._culler.cancel()
        await asyncio.gather(*(self.close(tab) for tab in list(self.kernels)))
        await asyncio.gather(*self._endings)
        if self._parent:
            self._parent.stop()

    async def _make_room(self) -> None:
        if len(self.kernels) < self.at_most:
            return
        idle = [(k.used, tab) for tab, k in self.kernels.items() if not k.lock.locked()]
        if not idle:
            raise Busy(f"all {self.at_most} kernels are drawing; try again in a moment")
        await self.close(min(idle)[1])

    async def _cull(self) -> None:
        while True:
            await asyncio.sleep(min(30.0, self.idle_s / 4))
            now = time.monotonic()
            for tab, kernel in list(self.kernels.items()):
                if not kernel.lock.locked() and now - kernel.used > self.idle_s:
                    await self.close(tab)


def _sweep() -> None:
    """Remove folders that servers which were killed have left."""
    for path in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        pid = path.name.removeprefix(FOLDER).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)
