"""Kernels forked from a parent that has the slow imports done.

Importing torch, transformers and matplotlib takes longer than many a chapter. A
`WarmParent` imports them once; every kernel is then a fork of it and starts in a
fraction of a second, sharing the parent's memory until it writes to it::

    with WarmParent(["numpy", "torch"], threads=2) as parent:
        os.environ |= thread_environment(2) | {"SEEDBOOK_WARM": parent.address or ""}
        papermill.execute_notebook(source, result, kernel_manager_class=WarmKernelManager)

Three parts meet over one Unix socket. The *creator* (`seedbook run`) owns the
parent. The *runner*, often another process, executes one notebook; its
`WarmKernelManager` asks the parent for a kernel. The *kernel* lives in a session of
its own and ends with its runner.

Nothing depends on a parent. Where there is none, or it refuses, the kernel is an
ordinary one. It refuses whatever would make a fork differ from a fresh kernel: another
interpreter, thread count or hash seed, or another value of any variable that libraries
read while they are imported (`READ_AT_IMPORT`). One difference stays: a module that the
parent imports warns into the parent's log, not into the notebook, and sees no IPython
(without ipywidgets, ``tqdm.auto`` says so in ordinary kernels alone).

The socket speaks one JSON message each way: the request, with the runner's standard
output and error attached, and ``{"pid": ...}`` with a pidfd of the kernel, or
``{"refused": why}``. A last message gives the kernel's exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import os
import select
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Unicode, default

__all__ = ["WarmKernelManager", "WarmParent", "supported", "thread_environment"]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
INLINE = "module://matplotlib_inline.backend_inline"
# Names, or beginnings of names, of variables that a library reads once, when imported.
READ_AT_IMPORT = (
    *("PYTHON", "LD_", "HOME", "XDG_", "LANG", "LC_", "TZ"),
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_"),
    *("MPL", "TORCH", "HF_", "HUGGINGFACE_", "TRANSFORMERS_"),
)
# For the parent alone; a kernel has the environment of its request.
PARENT_ONLY = {
    "JPY_PARENT_PID": "1",  # ipykernel need not watch its parent: `_end_with` watches the runner
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # else pyarrow starts a thread
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # else torch may initialise CUDA, which dies in a fork
}
KERNEL_MODULES = ("ipykernel.kernelapp", "ipykernel.ipkernel")
LAUNCHER = ("-m", "ipykernel_launcher")
KERNEL_FOLDER = "seedbook-kernel-"
MESSAGE_BYTES = 1 << 20
IMPORT_SECONDS = 60  # a request waits so long for the parent's imports
log = logging.getLogger(__name__)


class Refused(Exception):
    """The parent cannot fork the kernel that was asked for; says why."""


def supported() -> bool:
    """Whether kernels can be forked here.

    Returns
    -------
    bool
        True on Linux with pidfds (5.3), without a CUDA device (CUDA does not survive a
        fork, and asking CUDA itself would initialise it), and unless the environment
        variable ``SEEDBOOK_NO_WARM`` is set.
    """
    if sys.platform != "linux" or os.environ.get("SEEDBOOK_NO_WARM"):
        return False
    gpus = [*Path("/dev").glob("nvidia[0-9]*"), *Path("/proc/driver/nvidia/gpus").glob("*")]
    if gpus or Path("/dev/dxg").exists():
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that fix a kernel's thread count and hash seed.

    Waiting OpenMP threads sleep: with more runs than cores, threads that spin instead
    make training several times slower. The results are the same.

    Examples
    --------
    >>> thread_environment(2)["OMP_NUM_THREADS"]
    '2'
    """
    fixed = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "0"}
    return dict.fromkeys(THREADS, str(threads)) | fixed


# The creator's side


class WarmParent:
    """A process that imports modules once and forks kernels on request.

    It ends with its creator, however the creator ends. `start` returns at once; a
    kernel asked for during the imports waits for them.

    Parameters
    ----------
    modules
        What to import. A module that cannot be imported is skipped (and logged by
        `stop`): the kernel then imports it itself. Name other people's modules, not
        seedbook's own, whose edits must reach the next kernel.
    threads
        Thread count of every kernel.

    Attributes
    ----------
    address : str or None
        Path of the socket, for the runner's environment variable ``SEEDBOOK_WARM``.
        None while stopped and where forking is not `supported`.
    """

    def __init__(self, modules: list[str], threads: int):
        self.modules = modules
        self.threads = threads
        self.address: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, or do nothing where that is not `supported`."""
        if self._process is not None or not supported():
            return
        folder = _private_folder("seedbook-warm-")
        self.address = str(folder / "socket")
        environment = os.environ | thread_environment(self.threads) | PARENT_ONLY
        # Matplotlib must meet the inline backend's name when it is imported.
        environment["MPLBACKEND"] = INLINE
        creator = os.pidfd_open(os.getpid())
        try:
            with (
                socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
                open(folder / "log.txt", "wb") as output,
            ):
                listener.bind(self.address)
                os.chmod(self.address, 0o600)
                listener.listen(128)
                arguments = [listener.fileno(), creator, folder, *self.modules]
                self._process = subprocess.Popen(
                    [sys.executable, "-c", f"from {__name__} import _main; _main()"]
                    + [str(a) for a in arguments],
                    pass_fds=(listener.fileno(), creator),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    cwd=folder,  # empty, so no file beside the creator shadows a module
                    start_new_session=True,  # Ctrl-C is for the creator
                )
        finally:
            os.close(creator)

    def stop(self) -> None:
        """End the process and remove its socket; kernels at work go on."""
        if self._process is None or self.address is None:
            return
        self._process.kill()
        self._process.wait()
        folder = Path(self.address).parent
        with contextlib.suppress(FileNotFoundError):
            if text := (folder / "log.txt").read_text(errors="replace").strip():
                log.info("The warm parent said:\n%s", text)
        shutil.rmtree(folder, ignore_errors=True)
        self._process = self.address = None

    def __enter__(self) -> WarmParent:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


# The runner's side


class WarmKernelManager(AsyncKernelManager):
    """Kernel manager whose ``python3`` is this interpreter, forked when possible.

    For ``kernel_manager_class`` of `nbclient.NotebookClient` and
    `papermill.execute_notebook`; no kernel specification needs to be installed. Kernels
    listen on Unix sockets, in a private folder that is removed with the kernel, unless
    the configuration sets ``KernelManager.transport``.
    """

    _folder: Path | None = None

    @default("kernel_spec_manager")
    def _default_kernel_spec_manager(self) -> KernelSpecManager:
        return WarmKernelSpecManager(parent=self)

    @default("transport")
    def _default_transport(self) -> str:
        return "ipc" if os.name == "posix" else "tcp"

    @default("connection_file")
    def _default_connection_file(self) -> str:
        # jupyter_client's own default puts the sockets into the working directory of
        # each side, which need not be the same.
        self._folder = _private_folder(KERNEL_FOLDER)
        return str(self._folder / "kernel.json")

    def cleanup_connection_file(self) -> None:
        """Remove the connection file and, if it is ours, its folder."""
        super().cleanup_connection_file()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class WarmKernelSpecManager(KernelSpecManager):
    """Knows ``python3`` as this interpreter's kernel, provisioned by `WarmProvisioner`."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Specification of the named kernel; see the base class."""
        if kernel_name != NATIVE_KERNEL_NAME:
            return super().get_kernel_spec(kernel_name)
        return KernelSpec(
            argv=[sys.executable, *LAUNCHER, "-f", "{connection_file}"],
            display_name="Python 3 (ipykernel)",
            language="python",
            kernel_protocol_version="5.5",
            metadata={"kernel_provisioner": {"provisioner_name": "seedbook-warm"}},
        )


class WarmProvisioner(LocalProvisioner):
    """Launches a kernel by asking a warm parent for it, else as an ordinary process."""

    address = Unicode(
        help="Path of the parent's socket; by default the kernel's variable SEEDBOOK_WARM."
    ).tag(config=True)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Launch a kernel; see the base class."""
        if address := self.address or kwargs["env"].get("SEEDBOOK_WARM"):
            try:
                kernel: Any = await asyncio.to_thread(_ask, address, cmd, **kwargs)
            except (OSError, Refused) as error:
                self.log.info("No kernel from the warm parent at %s: %s", address, error)
            else:
                self.process = kernel
                self.pid = self.pgid = kernel.pid  # it leads a process group of its own
                self.cwd = kwargs.get("cwd") or os.getcwd()
                return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)


class ForkedKernel:
    """A kernel that is another process's child, with the methods of `subprocess.Popen`.

    Parameters
    ----------
    pid, pidfd
        The process, and a descriptor of it; the descriptor is closed when the end of the
        process is noticed.
    parent
        Connection on which the parent will report the exit status.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, pidfd: int, parent: socket.socket):
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._parent = parent

    def poll(self) -> int | None:
        """Exit status (minus the signal's number), None while alive; 1 if unknown."""
        if self.returncode is None and _ended(self._pidfd):
            self._parent.settimeout(1)
            try:
                self.returncode = json.loads(self._parent.recv(MESSAGE_BYTES))
            except (OSError, ValueError):  # the parent itself is gone
                self.returncode = 1
            self._parent.close()
            os.close(self._pidfd)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; `subprocess.TimeoutExpired` after `timeout` seconds."""
        if self.returncode is None and not _ended(self._pidfd, timeout):
            raise subprocess.TimeoutExpired("kernel", timeout or 0)
        status = self.poll()
        assert status is not None
        return status

    def send_signal(self, signum: int) -> None:
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _ask(
    address: str,
    cmd: list[str],
    *,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str] | None = None,
    **others: Any,
) -> ForkedKernel:
    """Ask the parent at `address` for a kernel; OSError or `Refused` if there is none."""
    popen_arguments = others.keys() - {"extra_arguments", "kernel_id"}
    if popen_arguments:
        raise Refused(f"a forked kernel cannot honour {', '.join(sorted(popen_arguments))}")
    folder = os.path.abspath(cwd or os.getcwd())
    os.stat(os.path.join(folder, ""))  # an ordinary launch will say what is wrong with it
    request = {"cmd": cmd, "env": dict(env), "cwd": folder}
    parent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        parent.settimeout(IMPORT_SECONDS)
        parent.connect(address)
        socket.send_fds(parent, [json.dumps(request).encode()], [1, 2])
        message, fds, *_ = socket.recv_fds(parent, MESSAGE_BYTES, 1)
        if not message:
            raise Refused("it ended")
        reply = json.loads(message)
        if "refused" in reply:
            raise Refused(reply["refused"])
        return ForkedKernel(reply["pid"], fds[0], parent)
    except BaseException:
        parent.close()
        raise


# The parent's side


class Job(NamedTuple):
    """What a fork needs to become a kernel."""

    request: dict[str, Any]
    output: list[int]
    runner: int


def _main() -> None:
    """Body of the parent, and then of each kernel."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    creator, folder = int(sys.argv[2]), sys.argv[3]
    sys.path.remove("")
    environment = dict(os.environ)
    gc.disable()
    job = None
    try:
        if _import(sys.argv[4:], creator):
            job = _serve(listener, creator, _read_at_import(environment))
    finally:
        if job is None and _ended(creator):  # else the creator removes it, and reads the log
            shutil.rmtree(folder, ignore_errors=True)
    if job is not None:
        imported = os.environ.items() - environment.items()
        _become_kernel(job, dict(imported))


def _import(modules: list[str], creator: int) -> bool:
    """Import all that a kernel needs; False if the process must not be forked."""
    for module in [*modules, *KERNEL_MODULES]:
        if _ended(creator):
            return False
        try:
            importlib.import_module(module)
        except Exception as error:
            log.warning("%s is left to the kernels: %s: %s", module, type(error).__name__, error)
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, shared pages
    # A first fork lets OpenBLAS end its threads; it starts new ones when it is used.
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    if _threads() > 1:
        log.warning("An imported module keeps threads, which a fork would lose: no warm kernels")
        return False
    return True


def _serve(listener: socket.socket, creator: int, environment: dict[str, str]) -> Job | None:
    """Fork a kernel for each request that agrees with `environment`.

    Returns
    -------
    Job or None
        In each fork its job; in the parent None, when the creator has ended.
    """
    kernels: dict[int, socket.socket] = {}  # pidfd: connection to the runner
    selector = selectors.PollSelector()  # epoll would be shared with the forks
    selector.register(listener, selectors.EVENT_READ)
    selector.register(creator, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd == creator:
                return None
            if key.fd in kernels:
                selector.unregister(key.fd)
                _report(key.fd, kernels.pop(key.fd))
                continue
            connection, _ = listener.accept()
            try:
                job = _receive(connection, environment)
            except (Refused, OSError, ValueError) as error:
                with contextlib.suppress(OSError):
                    connection.send(json.dumps({"refused": str(error)}).encode())
                connection.close()
                continue
            sys.stdout.flush()
            sys.stderr.flush()
            if (pid := os.fork()) == 0:
                for inherited in (listener, connection, *kernels.values()):
                    inherited.close()
                for pidfd in (creator, *kernels):
                    os.close(pidfd)
                return job
            for fd in (*job.output, job.runner):
                os.close(fd)
            pidfd = os.pidfd_open(pid)
            try:
                socket.send_fds(connection, [json.dumps({"pid": pid}).encode()], [pidfd])
            except OSError:  # the runner waits no longer
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            kernels[pidfd] = connection
            selector.register(pidfd, selectors.EVENT_READ)


def _receive(connection: socket.socket, environment: dict[str, str]) -> Job:
    """Read one request; `Refused` if a fork would differ from a fresh kernel."""
    connection.settimeout(5)
    message, output, *_ = socket.recv_fds(connection, MESSAGE_BYTES, 2)
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        runner, user, _ = struct.unpack("3i", credentials)
        if user != os.getuid():
            raise Refused("another user's request")
        request = json.loads(message)
        if request["cmd"][:3] != [sys.executable, *LAUNCHER]:
            raise Refused(f"not a kernel of {sys.executable}")
        wanted = _read_at_import(request["env"])
        for name in sorted(wanted.keys() | environment.keys()):
            if wanted.get(name) != environment.get(name):
                raise Refused(
                    f"{name} is {wanted.get(name)!r} in the request and "
                    f"{environment.get(name)!r} in the parent"
                )
        if _threads() > 1:
            raise Refused("the parent has more than one thread")
        return Job(request, output, os.pidfd_open(runner))
    except BaseException:
        for fd in output:
            os.close(fd)
        raise


def _report(pidfd: int, connection: socket.socket) -> None:
    """Reap an ended kernel and tell its runner the exit status."""
    end = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    assert end is not None
    status = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
    with contextlib.suppress(OSError):
        connection.send(json.dumps(status).encode())
    connection.close()
    os.close(pidfd)


# The kernel's side


def _become_kernel(job: Job, imported: dict[str, str]) -> None:
    """Turn a fork of the parent into what a fresh kernel process would be.

    Parameters
    ----------
    job
        The request.
    imported
        Environment variables that modules set when they were imported.
    """
    request = job.request
    os.setsid()
    gc.enable()
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for stream, fd in zip((1, 2), job.output, strict=True):
        os.dup2(fd, stream)
        os.close(fd)
    os.environ.clear()
    os.environ.update(imported | request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv = request["cmd"][2:]
    importlib.invalidate_caches()
    arguments = sys.argv[1:]
    connection_file = Path(arguments[arguments.index("-f") + 1])
    threading.Thread(target=_end_with, args=(job.runner, connection_file), daemon=True).start()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # a fresh process draws it from the system

    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(arguments)
    _redirect_log_handlers()
    app.start()


def _end_with(runner: int, connection_file: Path) -> None:
    """Wait for the runner's end, then end this process and all that it started."""
    _ended(runner, None)
    if connection_file.parent.name.startswith(KERNEL_FOLDER):
        shutil.rmtree(connection_file.parent, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _redirect_log_handlers() -> None:
    """Point handlers that modules made at import to the kernel's streams."""
    streams = {sys.__stdout__: sys.stdout, sys.__stderr__: sys.stderr}
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream in streams:
                handler.setStream(streams[handler.stream])


# Small helpers


def _private_folder(prefix: str) -> Path:
    """Make a folder for sockets, whose paths may have about 100 characters at most."""
    root = tempfile.gettempdir()
    if len(root) > 60:
        root = "/tmp"
    # An owner that was killed left its folder; the name tells the owner.
    for folder in Path(root).glob(f"{prefix}*-*"):
        owner = folder.name.removeprefix(prefix).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=root))


def _read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of `environment` that a forked kernel can no longer change.

    Unset thread counts follow ``OMP_NUM_THREADS``, an unset backend is a kernel's.
    """
    meant = {"MPLBACKEND": INLINE}
    if "OMP_NUM_THREADS" in environment:
        meant |= dict.fromkeys(THREADS, environment["OMP_NUM_THREADS"])
    meant |= environment
    return {name: value for name, value in meant.items() if name.startswith(READ_AT_IMPORT)}


def _threads() -> int:
    """Number of threads of this process, those of C libraries included."""
    return len(os.listdir("/proc/self/task"))


def _ended(pidfd: int, seconds: float | None = 0) -> bool:
    """Whether the process ends within so many seconds; None waits for ever."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
