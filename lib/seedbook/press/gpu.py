"""What a run did with its GPU, as ``nvidia-smi`` tells it while the run lasts."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
from typing import Any

EVERY_S = 1.0
ASK = [
    "nvidia-smi",
    "--query-gpu=name,utilization.gpu,memory.used",
    "--format=csv,noheader,nounits",
]


class Watch:
    """Looks at the first GPU that is visible, once a second between entry and exit.

    >>> nothing = Watch()
    >>> nothing.record()
    {}
    """

    def __init__(self) -> None:
        self._seen: list[tuple[str, float, float]] = []  # name, percent busy, MB in use
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(timeout=20)

    def record(self) -> dict[str, Any]:
        """For the ``device`` of a run's record; empty when nothing could be read.

        Returns
        -------
        dict
            ``gpu``, its name; ``gpu_busy``, the mean percentage of time with a kernel on it;
            ``gpu_memory_mb``, the most memory in use, that of other programs included.
        """
        if not self._seen:
            return {}
        names, busy, memory = zip(*self._seen, strict=True)
        return {
            "gpu": names[-1],
            "gpu_busy": round(statistics.fmean(busy)),
            "gpu_memory_mb": round(max(memory)),
        }

    def _look(self) -> None:
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
        while not self._over.is_set():
            try:
                said = subprocess.run(
                    [*ASK, f"--id={first}"], capture_output=True, text=True, timeout=20, check=True
                ).stdout
                name, busy, memory = said.strip().splitlines()[0].rsplit(",", 2)
                self._seen.append((name.strip(), float(busy), float(memory)))
            except (OSError, subprocess.SubprocessError, ValueError, IndexError):
                return  # no such program, or not this answer: the record goes without
            self._over.wait(EVERY_S)
