"""Runs that readers ask for: a short queue before the press, and the news of each run.

The name of a run (its two keys) is its identity here as in the store: who asks for a run that is
under way joins it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import catalog, chapter, executor, runner
from .warm import WarmParent

WAITING, REMEMBERED = 8, 50
ENDS = ("done", "failed")


class Full(RuntimeError):
    """The queue is full, in one line."""


class Task:
    """A run that was asked for, and what happened to it so far.

    Attributes
    ----------
    name, slug : str
        Name of the run, and its chapter.
    state : str
        ``queued``, ``running``, ``done``, ``stopped`` or ``failed``.
    news : list of (int, dict)
        Events with rising numbers; progress inside a cell replaces older progress.
    """

    def __init__(self, plan: runner.Plan):
        self.plan = plan
        self.name, self.slug = plan.keys.run, plan.slug
        self.state = "queued"
        self.asked = time.time()
        self.news: list[tuple[int, dict[str, Any]]] = []
        self.stop = False
        self.job: runner.Job | None = None
        self.waits: Future[None] | None = None
        self._wake = asyncio.Event()
        self._count = 0

    def add(self, event: dict[str, Any]) -> None:
        """Append an event and wake who listens; on the event loop's thread."""
        kind = event["event"]
        if kind in ENDS:
            self.state = "done" if kind == "done" else "stopped" if self.stop else "failed"
            event = {**event, "state": self.state}
        elif kind != "queued":
            self.state = "running"
        self._count += 1
        if self.news and kind == "progress" == self.news[-1][1]["event"]:
            self.news.pop()
        event = {k: v for k, v in event.items() if k not in ("slug", "folder")}
        self.news.append((self._count, event))
        self._wake.set()
        self._wake = asyncio.Event()

    @property
    def sentence(self) -> str | None:
        """Why it failed or stopped."""
        return self.news[-1][1].get("sentence") if self.news else None

    async def follow(self, last: int = 0) -> AsyncIterator[tuple[int, dict[str, Any]] | None]:
        """Events after number `last`, as they come; None every 15 s without one."""
        while True:
            wake = self._wake
            for number, event in [n for n in self.news if n[0] > last]:
                yield number, event
                last = number
                if event["event"] in ENDS:
                    return
            if self.state not in ("queued", "running"):
                return
            try:
                await asyncio.wait_for(wake.wait(), 15)
            except TimeoutError:
                yield None


class Jobs:
    """The queue.

    Parameters
    ----------
    root : Path
        The book.
    at_most : int
        Runs under way at the same time.
    warm : bool
        After the first run of a thread count, keep a warm parent for the next ones.
    """

    def __init__(self, root: Path, at_most: int = 1, warm: bool = True):
        self.root, self.at_most, self.warm = root, at_most, warm
        self.tasks: dict[str, Task] = {}
        self._pool = ThreadPoolExecutor(at_most, thread_name_prefix="seedbook-run")
        self._parents: dict[int, WarmParent] = {}

    def submit(self, plan: runner.Plan) -> Task:
        """Queue a plan, or join the run under way that has its name; on the loop's thread.

        Raises
        ------
        Full
            When too many are waiting.
        """
        task = self.tasks.get(plan.keys.run)
        if task and task.state in ("queued", "running"):
            return task
        ahead = sum(t.state in ("queued", "running") for t in self.tasks.values())
        if ahead >= self.at_most + WAITING:
            raise Full(f"{ahead} runs are waiting or under way; wait for one, or stop one")
        task = Task(plan)
        self.tasks.pop(task.name, None)
        self.tasks[task.name] = task
        task.add({"event": "queued", "ahead": max(0, ahead - self.at_most + 1)})
        loop = asyncio.get_running_loop()
        task.waits = self._pool.submit(self._work, task, loop)
        ended = [n for n, t in self.tasks.items() if t.state not in ("queued", "running")]
        for name in ended[:-REMEMBERED]:
            del self.tasks[name]
        return task

    def cancel(self, task: Task) -> None:
        """Stop a run; its last event says so when it is over."""
        task.stop = True
        if task.waits and task.waits.cancel():
            sentence = f"{task.plan.label}: stopped before it began"
            task.add({"event": "failed", "sentence": sentence})
        elif task.job:
            task.job.cancel()

    async def stop(self) -> None:
        """Stop every run and the warm parents."""
        for task in self.tasks.values():
            if task.state in ("queued", "running"):
                self.cancel(task)
        await asyncio.to_thread(self._pool.shutdown, wait=True)
        for parent in self._parents.values():
            parent.stop()

    def _work(self, task: Task, loop: asyncio.AbstractEventLoop) -> None:
        """One run, on a thread of the pool."""

        def tell(event: dict[str, Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.add, event)

        try:
            parent = self._parents.get(task.plan.threads)
            task.plan.warm = parent.address if parent else None
            task.job = runner.start(task.plan)
            if task.stop:
                task.job.cancel()
            for event in task.job:
                tell(event)
            if self.warm and not task.stop:
                self._keep_warm(task.plan.threads)
        except Exception as error:  # the process could not even be started
            tell({"event": "failed", "sentence": f"{task.plan.label}: {error}"})

    def _keep_warm(self, threads: int) -> None:
        """Start a warm parent for chapters with so many threads, unless there is one."""
        if threads in self._parents:
            return
        found: set[str] = set()
        for entry in catalog.load(self.root).chapters:
            if entry.exists and entry.threads == threads:
                with contextlib.suppress(chapter.ChapterError, SyntaxError):
                    source = chapter.read(entry.slug, self.root)
                    found |= set(executor.foreign_modules([source]))
        parent = self._parents[threads] = WarmParent(sorted(found), threads)
        parent.start()
