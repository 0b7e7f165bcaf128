"""Frames come back as they were saved, whole or not at all, and only experiments write them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seedbook import frames


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBOOK_FRAMES", str(tmp_path / "frames"))
    monkeypatch.delenv("SEEDBOOK_STAGE", raising=False)
    return tmp_path / "frames"


ARMS = pd.CategoricalDtype(["a", "b", "ß"])
COLUMNS = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "bool": st.booleans(),
    "str": st.text(st.characters(codec="utf-8"), max_size=5),
    "category": st.sampled_from(list(ARMS.categories)),
}


@st.composite
def tidy_frames(draw):
    n = draw(st.integers(0, 6))
    known = sorted(COLUMNS if n else COLUMNS.keys() - {"category"})  # no rows, no categories
    kinds = draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))
    return pd.DataFrame(
        {
            f"column {i}": pd.Series(
                draw(st.lists(COLUMNS[kind], min_size=n, max_size=n)),
                dtype=ARMS if kind == "category" else kind,
            )
            for i, kind in enumerate(kinds)
        }
    )


@given(tidy_frames())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(df):
    frames.save("t", df)
    pd.testing.assert_frame_equal(frames.load("t"), df, check_exact=True)


def test_equal_frames_have_equal_bytes(folder):
    df = pd.DataFrame({"arm": ["a", "b"], "x": [0.1, np.nan]})
    frames.save("one", df)
    frames.save("two", df.copy())
    assert (folder / "one.parquet").read_bytes() == (folder / "two.parquet").read_bytes()


@pytest.mark.parametrize(
    ("df", "message"),
    [
        (pd.DataFrame({"a": [1, 2]}, index=[1, 2]), "reset_index"),
        (pd.DataFrame({"a": [1, 2]}).set_index("a"), "reset_index"),
        (pd.DataFrame([[1, 2]]), "column names must be strings"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "must differ"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a' holds"),
        (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "mixed"),
        ([1, 2], "make it a pandas DataFrame"),
    ],
)
def test_untidy_frames_are_refused(folder, df, message):
    with pytest.raises((TypeError, ValueError), match=message):
        frames.save("t", df)
    assert not frames.available("t")


@pytest.mark.parametrize("name", ["", "A", "../t", "a b", "a.b"])
def test_names(name):
    with pytest.raises(ValueError, match="rename it"):
        frames.save(name, pd.DataFrame({"a": [1]}))


def test_a_failed_save_leaves_the_old_frame_and_nothing_else(folder, monkeypatch):
    frames.save("t", pd.DataFrame({"a": [1]}))

    def half(self, path, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", half)
    with pytest.raises(OSError, match="No space"):
        frames.save("t", pd.DataFrame({"a": [2]}))
    monkeypatch.undo()
    assert [p.name for p in folder.iterdir()] == ["t.parquet"]
    assert pd.read_parquet(folder / "t.parquet")["a"].tolist() == [1]


def test_errors_name_what_exists():
    frames.save("words", pd.DataFrame({"a": [1]}))
    with pytest.raises(FileNotFoundError, match=r"\['words'\]; did you mean 'words'\?"):
        frames.load("word")
    with pytest.raises(FileNotFoundError, match=r"saved are \['words'\]$"):
        frames.load("zzz")


def test_skip_is_stored_and_a_later_save_lifts_it(folder):
    frames.skip("logs", "no network")
    assert not frames.available("logs")
    assert frames.skipped() == {"logs": "no network"}
    assert json.loads((folder / "skipped.json").read_text()) == {"logs": "no network"}
    with pytest.raises(FileNotFoundError, match="was skipped: no network"):
        frames.load("logs")
    frames.save("logs", pd.DataFrame({"a": [1]}))
    assert frames.available("logs")
    assert frames.skipped() == {}
    frames.skip("logs", "switched off")
    assert not frames.available("logs")


def test_a_skip_needs_a_reason():
    with pytest.raises(ValueError, match="reason"):
        frames.skip("logs", " ")


def test_the_view_stage_reads_only(monkeypatch):
    frames.save("t", pd.DataFrame({"a": [1]}))
    monkeypatch.setenv("SEEDBOOK_STAGE", "view")
    for write in (
        lambda: frames.save("t", pd.DataFrame({"a": [2]})),
        lambda: frames.skip("t", "no"),
    ):
        with pytest.raises(RuntimeError, match="move it to an experiment cell"):
            write()
    assert frames.load("t")["a"].tolist() == [1]


def test_touched_and_the_temporary_folder_of_a_process():
    code = """if True:
        import os, pandas as pd
        from seedbook import frames
        before = frames.touched()
        frames.skip("logs", "no")
        between = frames.touched()
        frames.save("t", pd.DataFrame({"a": [1]}))
        pid = os.fork()
        if pid == 0:
            assert not frames.available("t")
            raise SystemExit
        os.waitpid(pid, 0)
        assert frames.available("t")
        print(before, between, frames.touched(), frames._folder())
    """
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    *flags, left = done.stdout.split()
    assert flags == ["False", "False", "True"]
    assert not Path(left).exists()
