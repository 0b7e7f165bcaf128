"""Find the folder of the book, wherever a command is started."""

from __future__ import annotations

import os
from pathlib import Path

CATALOG = Path("notebooks", "catalog.yml")


def root() -> Path:
    """Folder that holds ``notebooks/catalog.yml``.

    The variable ``SEEDBOOK_ROOT`` decides where it is set. Otherwise the nearest folder at or above
    the working directory counts, and last the folders above this file, which finds the clone of an
    editable installation.

    Returns
    -------
    pathlib.Path
        Absolute path.

    Raises
    ------
    FileNotFoundError
        If no such folder is found, or ``SEEDBOOK_ROOT`` names one without a catalogue.
    """
    asked = os.environ.get("SEEDBOOK_ROOT")
    if asked:
        folder = Path(asked).expanduser().resolve()
        if not (folder / CATALOG).is_file():
            raise FileNotFoundError(
                f"SEEDBOOK_ROOT is {asked!r}, but {folder / CATALOG} does not exist: "
                "set it to the folder of a clone of the book, or unset it"
            )
        return folder
    here, module = Path.cwd().resolve(), Path(__file__).resolve()
    for folder in (here, *here.parents, *module.parents):
        if (folder / CATALOG).is_file():
            return folder
    raise FileNotFoundError(
        f"no {CATALOG} at or above {here}: change into a clone of the book, "
        "or set SEEDBOOK_ROOT to its folder"
    )
