"""The store: private until finished, swept after a death, damaged files named."""

import os
import subprocess
import sys

import pytest
from seedbook.press import store


def test_parts_of_the_dead_are_swept_and_of_the_living_kept(tmp_path):
    mine = store.begin(tmp_path, "dice")
    code = (
        "from pathlib import Path; from seedbook.press import store; "
        f"print(store.begin(Path({str(tmp_path)!r}), 'dice'))"
    )
    theirs = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    dead = store.folder(tmp_path, "dice") / os.path.basename(theirs.stdout.strip())
    assert mine.is_dir() and dead.is_dir()
    assert store.runs(tmp_path, "dice") == []
    store.begin(tmp_path, "dice")
    assert mine.is_dir() and not dead.exists()


def test_the_first_to_finish_wins(tmp_path):
    first, second = store.begin(tmp_path, "dice"), store.begin(tmp_path, "dice")
    for part, text in ((first, "1"), (second, "2")):
        (part / "run.json").write_text(f'{{"n": {text}}}')
    target = store.folder(tmp_path, "dice") / "a-b"
    assert store.commit(first, target).record == {"n": 1}
    assert store.commit(second, target).record == {"n": 1}
    assert not second.exists()
    third = store.begin(tmp_path, "dice")
    (third / "run.json").write_text('{"n": 3}')
    assert store.replace(third, target).record == {"n": 3}


def test_damaged_and_missing_records_are_named(tmp_path):
    path = tmp_path / "run.json"
    with pytest.raises(store.StoreError, match="is missing"):
        store.read_json(path)
    path.write_text("{")
    with pytest.raises(store.StoreError, match="is damaged .*run again"):
        store.read_json(path)


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError):
        store.write_json(tmp_path / "x.json", {"a": float("nan")})


def test_last_five_failures_are_kept(tmp_path):
    for k in range(8):
        part = store.begin(tmp_path, "dice")
        (part / "log.txt").write_text(str(k))
        assert store.fail(tmp_path, "dice", part, {"sentence": str(k)})
        assert not part.exists()
    kept = sorted((store.folder(tmp_path, "dice") / "failed").iterdir())
    assert [store.read_json(p / "failure.json")["sentence"] for p in kept] == list("34567")
    assert (kept[0] / "log.txt").read_text() == "3"
