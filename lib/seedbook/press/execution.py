"""What the child process of a run does: execute the notebook with papermill, keep what came out.

Everything is written into a private folder, which becomes the run in one step (`store`).  Whatever
ends a run otherwise (an exception in a cell, a dead kernel, a signal, a full disk) ends in one
sentence, and no kernel outlives it.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from . import chapter, gpu, keys, store
from .runner import Event, Plan, RunError

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "scikit-learn",
    "statsmodels",
    "torch",
    "transformers",
)
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}  # by flag, widest first
# Names of exceptions; a kernel that died may have been killed for its memory.
OUT_OF_MEMORY = ("DeadKernelError", "MemoryError", "_ArrayMemoryError", "OutOfMemoryError")
_PERCENT = re.compile(r"(\d{1,3})%\|")
# A callback of the kernel that Ctrl-C interrupts is no news.
_QUIET = "__import__('logging').getLogger('tornado').setLevel('CRITICAL')"
_closing = threading.Event()  # this run is ending: no signal interrupts it any more


class _Stopped(KeyboardInterrupt):
    pass


class _TooLong(Exception):
    pass


def work(plan: Plan, events: Any, control: Any) -> None:
    """Body of the child process of a run: everything that can go wrong ends in one event."""

    def stop(signum: int, frame: Any) -> None:
        if not _closing.is_set():  # once; later signals must not break the cleaning up
            _closing.set()
            raise _Stopped

    def too_long(signum: int, frame: Any) -> None:
        raise _TooLong

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, plan.run_limit_s)

    def watch() -> None:  # the parent's death or its wish ends the run
        try:
            control.recv()
        except (EOFError, OSError):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    broken = threading.Event()

    def send(event: Event) -> None:
        if not broken.is_set():
            try:
                events.send({"slug": plan.slug, **event})
            except OSError:
                broken.set()

    try:
        finished = execute(plan, send)
        _closing.set()
        send({"event": "done", "how": plan.how, "folder": str(finished.folder)})
    except RunError as error:
        send(
            {
                "event": "failed",
                "sentence": str(error),
                "folder": str(error.folder) if error.folder else None,
                "cause": error.cause,
            }
        )
    except BaseException as error:  # what the run's own handling did not see
        sentence, cause = _sentence(plan, error, None), _cause(error)
        send({"event": "failed", "sentence": sentence, "folder": None, "cause": cause})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        events.close()


def execute(plan: Plan, send: Callable[[Event], None]) -> store.Run:
    name = plan.keys.run
    try:
        with store.claim(plan.shelf, plan.slug, name):
            there = store.find(plan.shelf, plan.slug, name)
            if there and not plan.force:
                plan.how = "kept"
                return there
            part = store.begin(plan.shelf, plan.slug)
            state = _State(plan, part, send)
            try:
                _build(state)
                target = store.folder(plan.shelf, plan.slug) / name
                return (store.replace if plan.force else store.commit)(part, target)
            except BaseException as error:
                _closing.set()
                signal.setitimer(signal.ITIMER_REAL, 0)
                sentence = _sentence(plan, error, state)
                state.keep_partial()
                failure = {
                    "sentence": sentence,
                    "cell": state.cell,
                    "slug": plan.slug,
                    "parameters": plan.values,
                    "profile": plan.profile,
                }
                folder = store.fail(plan.shelf, plan.slug, part, failure)
                raise RunError(sentence, folder, _cause(error)) from None
    except store.StoreError as error:
        raise RunError(f"{plan.label}: {error}") from None


class _State:
    """What one execution knows of itself."""

    def __init__(self, plan: Plan, part: Path, send: Callable[[Event], None]):
        self.plan, self.part, self.send = plan, part, send
        self.cell: str | None = None
        self.k = 0
        self.ids: list[str] = []
        self.times: dict[str, float] = {}
        self.warnings: list[str] = []
        self.log: list[str] = []
        self.peak_mb: float | None = None
        self.skips: Path | None = None  # of the run that is redrawn
        self.notebook: Any = None
        self.begun = time.monotonic()
        self._sent = 0.0

    def left(self, fraction: float = 0.0) -> float | None:
        """Seconds left by the durations of the last run; None where there is none."""
        known = self.plan.expected
        if not all(i in known for i in self.ids[self.k - 1 :]) or not self.ids:
            return None
        now = known[self.ids[self.k - 1]] * (1 - fraction) if self.k else 0.0
        return round(now + sum(known[i] for i in self.ids[self.k :]), 1)

    def enter(self, cell_id: str) -> None:
        self.cell = cell_id
        self.k = self.ids.index(cell_id) + 1
        self.send(
            {"event": "cell", "k": self.k, "n": len(self.ids), "cell": cell_id, "left": self.left()}
        )

    def stderr(self, text: str) -> None:
        found = _PERCENT.findall(text)
        if found:
            now = time.monotonic()
            if now - self._sent > 0.1 or found[-1] == "100":
                self._sent = now
                fraction = min(int(found[-1]), 100) / 100
                self.send(
                    {
                        "event": "progress",
                        "k": self.k,
                        "n": len(self.ids),
                        "cell": self.cell,
                        "fraction": fraction,
                        "text": text.replace("\r", "\n").strip().splitlines()[-1][:200],
                        "left": self.left(fraction),
                    }
                )
            return
        if text.strip() and "IProgress not found" not in text:  # tqdm, in ordinary kernels only
            self.log.append(f"[{self.cell}] {text.strip()}")
            if "Warning" in text:
                self.warnings.append(f"{self.cell}: {text.strip().splitlines()[0][:300]}")

    def keep_partial(self) -> None:
        try:
            if self.notebook is not None:
                import nbformat

                nbformat.write(self.notebook, self.part / "notebook.ipynb")
            (self.part / "log.txt").write_text("\n".join(self.log) + "\n", encoding="utf-8")
        except OSError:
            pass


def _sentence(plan: Plan, error: BaseException, state: _State | None) -> str:
    """One clear sentence for whatever ended a run."""
    where = ""
    if state is not None and state.cell:
        where = f" in cell {state.cell!r} ({state.k} of {len(state.ids)})"
    kind = type(error).__name__
    label = plan.label
    if isinstance(error, KeyboardInterrupt):
        return f"{label}: stopped{where}; nothing was kept, earlier runs are untouched"
    if isinstance(error, _TooLong):
        return (
            f"{label}: ran longer than {plan.run_limit_s:.0f} s{where} and was stopped; use a smaller "
            "profile or smaller parameters"
        )
    if kind == "DeadKernelError":
        return f"{label}: the kernel died{where}, perhaps for want of memory; try a smaller profile"
    if kind == "CellTimeoutError":
        return (
            f"{label}: ran longer than {plan.cell_limit_s:.0f} s{where} and was stopped; use a smaller "
            "profile, or raise limits.cell_s in notebooks/catalog.yml"
        )
    if kind == "PapermillExecutionError":
        said = " ".join(str(getattr(error, "evalue", "")).split())[:400]
        return f"{label}: failed{where}: {getattr(error, 'ename', 'Error')}: {said}"
    if isinstance(error, OSError) and error.errno == 28:
        return f"{label}: no space left on the disk of {plan.shelf / 'runs'}{where}; free some and run again"
    if isinstance(error, PermissionError):
        return f"{label}: cannot write to {error.filename or plan.shelf / 'runs'}{where}; make it writable"
    return f"{label}: failed{where}: {kind}: {' '.join(str(error).split())[:400]}"


def _cause(error: BaseException) -> str:
    """The `RunError.cause` of whatever ended a run."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    kind = getattr(error, "ename", type(error).__name__)
    return "memory" if kind in OUT_OF_MEMORY else "chapter"


def _kernel_env(plan: Plan, part: Path, stage: str) -> dict[str, str]:
    from .warm import INLINE, thread_environment

    env = os.environ | thread_environment(plan.threads)
    env.update(
        CUBLAS_WORKSPACE_CONFIG=":4096:8",
        TOKENIZERS_PARALLELISM="false",
        MPLBACKEND=INLINE,
        SEEDBOOK_ROOT=str(plan.root),
        SEEDBOOK_FRAMES=str(part / "frames"),
        SEEDBOOK_STAGE=stage,
        SEEDBOOK_PROFILE=plan.profile,
        IPYTHONDIR=str(part / ".kernel" / "ipython"),
    )
    env.pop("SEEDBOOK_THUMBNAIL", None)
    env.pop("SEEDBOOK_WARM", None)
    if plan.warm:
        env["SEEDBOOK_WARM"] = plan.warm
    return env


def _build(state: _State) -> None:
    """Execute, then fill the private folder with everything but its final name."""
    plan, part = state.plan, state.part
    source = chapter.read(plan.slug, plan.root)
    started = datetime.datetime.now(datetime.UTC)
    redraw = plan.frames_from is not None and plan.how == "redraw"
    if redraw:
        assert plan.frames_from is not None
        # What was skipped is not known yet where the claims are declared, in a first run either.
        late = shutil.ignore_patterns("skipped.json")
        old_frames = plan.frames_from / "frames"
        shutil.copytree(old_frames, part / "frames", ignore=late, dirs_exist_ok=True)
        state.skips = old_frames / "skipped.json"
        cells = {c.id: c.source for c in source.stage("parameters", "claims", "view")}
        wanted = chapter.view_reads(source)
        cells["setup"] = chapter.pruned_setup(source, wanted)
        order = [c for c in source.code if c.stage != "experiment"]
        code = [(c, cells[c.id]) for c in order]
    else:
        code = [(c, c.source) for c in source.code]
    state.ids = [c.id for c, _ in code]
    state.send(
        {
            "event": "start",
            "how": plan.how,
            "n": len(code),
            "left": state.left(),
            "seed": plan.values["seed"],
        }
    )
    watch = gpu.Watch()
    with watch if _on_gpu(plan) and not redraw else contextlib.nullcontext():
        outputs = _papermill(state, code, _kernel_env(plan, part, "view" if redraw else "all"))
    if redraw:
        assert plan.frames_from is not None
        old = store.read_json(plan.frames_from / "notebook.ipynb")
        _borrow(outputs, source, old)
    notebook = _notebook(source, outputs)
    _figures(source, outputs, part)
    record = _claims(notebook, plan)
    store.write_json(part / "claims.json", record)
    store.write_json(part / "notebook.ipynb", notebook)
    (part / "log.txt").write_text(
        "\n".join(state.log) + ("\n" if state.log else ""), encoding="utf-8"
    )
    if not (part / "frames" / "skipped.json").exists():
        store.write_json(part / "frames" / "skipped.json", {})
    shutil.rmtree(part / ".kernel", ignore_errors=True)
    cells_s = {k: round(v, 2) for k, v in state.times.items()}
    if redraw:
        assert plan.frames_from is not None
        previous = store.read_json(plan.frames_from / "run.json")
        before = previous.get("cells", {})
        cells_s = {c.id: cells_s.get(c.id, before.get(c.id, 0.0)) for c in source.code}
    run_record = {
        "schema": 1,
        "state": "done",
        "slug": plan.slug,
        "run": plan.keys.run,
        "experiment_key": plan.keys.experiment[: keys.SHORT],
        "view_key": plan.keys.view[: keys.SHORT],
        "redrawn_from": plan.frames_from.name if redraw and plan.frames_from else None,
        "replicate": plan.replicate,
        "profile": plan.profile,
        "parameters": plan.values,
        "seed_asked": plan.seed_asked,
        "missing": plan.keys.lacking,
        "device": previous["device"] if redraw else _device(plan, watch),
        "threads": plan.threads,
        "started": started.isoformat(timespec="seconds"),
        "wall_s": round(time.monotonic() - state.begun, 1),
        "cells": cells_s,
        "peak_memory_mb": state.peak_mb,
        "warnings": state.warnings[:20],
        "parts": plan.keys.parts,
        "versions": versions(),
        **commit(plan.root),
    }
    if plan.differs:
        run_record["differs"] = plan.differs
    if redraw:
        run_record |= {
            "wall_s": previous["wall_s"],
            "redraw_s": round(time.monotonic() - state.begun, 1),
            "peak_memory_mb": previous["peak_memory_mb"],
            "versions": previous["versions"],
        }
    run_record["files"] = {
        str(p.relative_to(part)): hashlib.sha256(p.read_bytes()).hexdigest()[:16]
        for p in sorted(part.rglob("*"))
        if p.is_file()
    }
    store.write_json(part / "run.json", run_record)


def _papermill(
    state: _State, code: list[tuple[chapter.Cell, str]], env: dict[str, str]
) -> dict[str, list]:
    """Execute cells with papermill; outputs by cell id."""
    import logging

    import nbformat
    import papermill
    from nbformat.v4 import new_code_cell, new_notebook
    from papermill.engines import NBClientEngine, papermill_engines

    from .warm import WarmKernelManager

    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kw):  # type: ignore[override]
            client = _client_class()(
                nb_man,
                timeout=state.plan.cell_limit_s,
                startup_timeout=120,
                kernel_name="python3",
                kernel_manager_class=WarmKernelManager,
                extra_arguments=[
                    "--HistoryManager.hist_file=:memory:",
                    "--IPKernelApp.log_level=50",
                    f"--IPKernelApp.exec_lines={_QUIET}",
                ],
            )
            client.state = state
            return client.execute(env=env, cwd=env["SEEDBOOK_CWD"])

    cwd = state.part / ".kernel" / "cwd"
    cwd.mkdir(parents=True)
    env["SEEDBOOK_CWD"] = str(cwd)
    nb = new_notebook(
        cells=[
            new_code_cell(
                source,
                id=cell.id,
                metadata={"tags": cell.tags, "mystnb": cell.metadata.get("mystnb", {})},
            )
            for cell, source in code
        ],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    state.notebook = nb
    papermill_engines.register("seedbook", Engine)
    papermill.execute_notebook(
        nb,
        None,
        parameters=state.plan.values,
        engine_name="seedbook",
        kernel_name="python3",
        progress_bar=False,
    )
    nbformat.validate(state.notebook)
    return {
        c["id"]: [_clean(o) for o in c.get("outputs", [])]
        for c in state.notebook.cells
        if c["id"] in state.ids
    }


def _clean(output: Any) -> dict[str, Any]:
    out = dict(output)
    out["metadata"] = {
        k: v for k, v in dict(out.get("metadata", {})).items() if k != "needs_background"
    }
    if out["output_type"] == "stream":
        out.pop("metadata")
    if out["output_type"] == "execute_result":
        out["execution_count"] = 1
    return out


def _client_class():
    from papermill.clientwrap import PapermillNotebookClient

    class Client(PapermillNotebookClient):
        """papermill's client that reports cells and keeps stderr out of the notebook."""

        state: _State

        def papermill_execute_cells(self) -> None:
            state = self.state
            state.notebook = self.nb
            try:
                for index, cell in enumerate(self.nb.cells):
                    named = cell["id"] in state.ids
                    if named:
                        state.enter(cell["id"])
                        if "thumbnail" in cell.metadata.get("tags", []):
                            self._thumbnail()
                    begun = time.monotonic()
                    self._one(cell, index)
                    if cell["id"] == "claims" and state.skips and state.skips.is_file():
                        shutil.copy(state.skips, state.part / "frames")
                    if named:
                        state.times[cell["id"]] = time.monotonic() - begun
                        self._report_figure(cell)
                state.peak_mb = self._peak()
            finally:
                provisioner = getattr(self.km, "provisioner", None)
                self.kernel_pid = getattr(provisioner, "pid", None)

        def _one(self, cell: Any, index: int) -> None:
            from nbclient.exceptions import CellExecutionError
            from papermill.exceptions import PapermillExecutionError

            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                self.state.log.append(re.sub(r"\x1b\[[0-9;]*m", "", str(error)))
                last = next(o for o in reversed(cell.outputs) if o.output_type == "error")
                raise PapermillExecutionError(
                    cell_index=index,
                    exec_count=cell.execution_count,
                    source=cell.source,
                    ename=last.ename,
                    evalue=last.evalue,
                    traceback=last.traceback,
                ) from None
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)

        def _thumbnail(self) -> None:
            path = str(self.state.part / "figures" / "thumbnail.svg")
            code = f"import os; os.environ['SEEDBOOK_THUMBNAIL'] = {path!r}; del os"
            self.wait_for_reply(self.kc.execute(code, silent=True, store_history=False))

        def _report_figure(self, cell: Any) -> None:
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            if name:
                self.state.send({"event": "figure", "name": name})

        def _peak(self) -> float | None:
            try:
                status = Path(f"/proc/{self.km.provisioner.pid}/status").read_text()
                return round(int(re.search(r"VmHWM:\s*(\d+)", status).group(1)) / 1024, 0)  # type: ignore
            except (OSError, AttributeError):
                return None

        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] == "stream" and msg["content"]["name"] == "stderr":
                self.state.stderr(msg["content"]["text"])
                return None
            return super().process_message(msg, cell, cell_index)

    return Client


def _borrow(outputs: dict[str, list], source: chapter.Source, old: dict[str, Any]) -> None:
    """Take the outputs of the experiment cells, by order, from the run that made the frames."""
    then = [
        c
        for c in old["cells"]
        if c["cell_type"] == "code"
        and not {"parameters", "setup", "claims", "view"}
        & set(c.get("metadata", {}).get("tags", []))
    ]
    for cell, before in zip(source.stage("experiment"), then, strict=False):
        outputs[cell.id] = before.get("outputs", [])


def _notebook(source: chapter.Source, outputs: dict[str, list]) -> dict[str, Any]:
    """The source notebook with outputs: what is stored, without timings and injected cells."""
    raw = json.loads(json.dumps(source.raw))
    count = 0
    for cell in raw["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = json.loads(json.dumps(outputs.get(cell["id"], [])))
            for o in cell["outputs"]:
                if o["output_type"] == "execute_result":
                    o["execution_count"] = count
    return raw


def _figures(source: chapter.Source, outputs: dict[str, list], part: Path) -> None:
    import base64

    for cell in source.stage("view"):
        if not cell.figure:
            continue
        for output in outputs.get(cell.id, []):
            data = output.get("data", {})
            if "image/svg+xml" in data:
                text = data["image/svg+xml"]
                text = text if isinstance(text, str) else "".join(text)
                (part / "figures" / f"{cell.figure}.svg").write_text(text, encoding="utf-8")
            elif "image/png" in data:
                (part / "figures" / f"{cell.figure}.png").write_bytes(
                    base64.b64decode(data["image/png"])
                )


def _claims(notebook: dict[str, Any], plan: Plan) -> dict[str, Any]:
    from seedbook import claims

    record = claims.from_notebook(notebook)
    if record["slug"] != plan.slug:
        raise ValueError(f"the ledger is named {record['slug']!r}, the chapter {plan.slug!r}")
    return record


def _on_gpu(plan: Plan) -> bool:
    return plan.keys.parts["experiment"].get("device") == "cuda"


def _device(plan: Plan, watch: gpu.Watch) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": "cpu"}
    try:
        out |= processor(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        import platform

        out["name"] = platform.processor()
    out["cores"] = os.cpu_count()
    if _on_gpu(plan):
        out |= {"kind": "cuda", "gpu": "a GPU of unknown name"} | watch.record()
    return out


def processor(cpuinfo: str) -> dict[str, str]:
    """Name and vector instructions of a processor, from Linux's description of it.

    The instructions decide in which order linear algebra sums, hence the last digits of a number;
    processors of one name can differ in them.

    >>> processor("model name : EPYC\\nflags : fpu sse2 avx avx2")
    {'name': 'EPYC', 'vectors': 'AVX2'}
    >>> processor("")
    {'name': ''}
    """
    name = re.search(r"^model name\s*:\s*(.+)", cpuinfo, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)", cpuinfo, re.MULTILINE)
    known = flags.group(1).split() if flags else []
    out = {"name": name.group(1).strip() if name else ""}
    for vectors in [v for flag, v in VECTORS.items() if flag in known][:1]:
        out["vectors"] = vectors
    return out


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide numbers."""
    out = {"python": sys.version.split()[0]}
    for name in (*PACKAGES, "papermill", "seedbook"):
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return out


def commit(root: Path) -> dict[str, Any]:
    """``commit`` of a clone, None where there is none, and whether it is ``dirty``."""

    def git(*words: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    dirty = bool(git("status", "--porcelain", "--", "notebooks", "lib")) if head else False
    return {"commit": head or None, "dirty": dirty}
