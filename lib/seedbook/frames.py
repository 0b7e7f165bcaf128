"""Data frames that pass from the experiment cells of a chapter to its view cells.

An experiment cell saves what the figures and verdicts need; a view cell loads it, in a full run
too, so that both read the same bytes.  Frames are Parquet files in the folder that
``SEEDBOOK_FRAMES`` names, or else in a temporary folder that goes away with the process.

>>> import pandas as pd
>>> save("counts", pd.DataFrame({"arm": ["a", "b"], "n": [3, 5]}))
>>> load("counts")["n"].sum()
np.int64(8)
>>> skip("logs", "no network; run once with network to download 3 MB")
>>> available("counts"), available("logs")
(True, False)
"""

from __future__ import annotations

import atexit
import difflib
import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

#: Part of every experiment key: raise it when frames written before can no longer be read alike.
SCHEMA = 1

_SKIPPED = "skipped.json"
_touched = False


def save(name: str, df: pd.DataFrame) -> None:
    """Save a tidy frame under a name, whole or not at all.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores.
    df : pandas.DataFrame
        String column names, the default index, columns of numbers, booleans, strings or
        categories.  Saving a name again replaces the frame.

    Raises
    ------
    RuntimeError
        In the view stage, where frames are read only.
    TypeError, ValueError
        If the frame is not tidy; the message says what to change.
    """
    global _touched
    _refuse_in_view("save", name)
    path = _path(name)
    tidy = _checked(name, df)
    _replace(path, lambda part: tidy.to_parquet(part, index=False, compression="zstd"))
    reasons = skipped()
    if reasons.pop(name, None) is not None:
        _write_skipped(reasons)
    _touched = True


def load(name: str) -> pd.DataFrame:
    """Load a frame by its name, with the dtypes it was saved with.

    Raises
    ------
    FileNotFoundError
        If no such frame was saved; the message names those that were, or says why it was skipped.
    """
    global _touched
    path = _path(name)
    if not path.is_file():
        if name in skipped():
            raise FileNotFoundError(
                f"frame {name!r} was skipped: {skipped()[name]}; "
                f"start the cell with `if frames.available({name!r}):`"
            )
        saved = sorted(p.stem for p in path.parent.glob("*.parquet"))
        near = difflib.get_close_matches(name, saved, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise FileNotFoundError(f"no frame {name!r}; saved are {saved or 'none'}{hint}")
    _touched = True
    return pd.read_parquet(path)


def skip(name: str, reason: str) -> None:
    """Say that a frame cannot be made here, and why.

    Claims that need it read *out of scope* with this reason.  The reason is stored with the run, so
    that a redraw elsewhere sees the same.

    Parameters
    ----------
    name : str
        The frame that will be missing.
    reason : str
        One sentence: what is missing and how to get it.
    """
    _refuse_in_view("skip", name)
    if not reason.strip():
        raise ValueError(f"frame {name!r}: a skip needs a reason, in one sentence")
    _path(name).unlink(missing_ok=True)
    _write_skipped(skipped() | {name: reason})


def available(name: str) -> bool:
    """Whether a frame of this name was saved."""
    return _path(name).is_file()


def skipped() -> dict[str, str]:
    """Return the reason of every skipped frame, by name."""
    path = _folder() / _SKIPPED
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def touched() -> bool:
    """Whether this process has saved or loaded a frame."""
    return _touched


def _folder() -> Path:
    named = os.environ.get("SEEDBOOK_FRAMES")
    folder = Path(named) if named else _temporary(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@functools.cache
def _temporary(pid: int) -> Path:
    """Make one folder for each process: a forked kernel neither uses nor removes its parent's."""
    folder = Path(tempfile.mkdtemp(prefix="seedbook-frames-"))

    def remove() -> None:
        if os.getpid() == pid:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _path(name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(f"frame name {name!r}: allowed are a-z, 0-9 and _; rename it")
    return _folder() / f"{name}.parquet"


def _refuse_in_view(what: str, name: str) -> None:
    if os.environ.get("SEEDBOOK_STAGE") == "view":
        raise RuntimeError(
            f"frames.{what}({name!r}) in the view stage, where frames are read only: "
            "move it to an experiment cell"
        )


def _checked(name: str, df: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"frame {name!r} is a {type(df).__name__}; make it a pandas DataFrame")
    if not all(isinstance(column, str) for column in df.columns):
        raise TypeError(f"frame {name!r}: column names must be strings, got {list(df.columns)}")
    if not df.columns.is_unique:
        raise ValueError(f"frame {name!r}: column names must differ, got {list(df.columns)}")
    if not df.index.equals(pd.RangeIndex(len(df))):
        raise ValueError(f"frame {name!r} has an index of its own: call reset_index() first")
    for column in df.columns:
        kind = pd.api.types.infer_dtype(df[column], skipna=True)
        if df[column].dtype == object and kind not in ("string", "boolean", "empty"):
            raise TypeError(
                f"frame {name!r}, column {column!r} holds {kind} objects; "
                "allowed are numbers, booleans, strings and categories"
            )
    return df


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there in one step."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_skipped(reasons: dict[str, str]) -> None:
    text = json.dumps(reasons, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    _replace(_folder() / _SKIPPED, lambda part: part.write_text(text, encoding="utf-8"))
