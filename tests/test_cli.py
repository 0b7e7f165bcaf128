"""The command line: every command, exit codes, one-line errors, nothing half-written."""

import csv
import re
import subprocess
import sys

import pytest
from seedbook.press import cli, store


def call(capsys, *words):
    code = cli.main(list(words))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "dic"], "unknown chapter 'dic'"),
        (["run"], "name a chapter, or --all"),
        (["run", "dice", "-p", "n_throw=3"], "did you mean 'n_throws'?"),
        (["run", "dice", "-p", "n_throws=3.5"], "must be an int"),
        (["run", "dice", "-p", "n_throws=0"], "must lie in [1, 1000000]"),
        (["run", "dice", "-p", "n_throws"], "write -p name=value"),
        (["run", "dice", "-p", 'n_throws=__import__("os").system("x")'], "must be an int"),
        (["run", "dice", "-p", "margin=nan"], "must be a float"),
        (["run", "dice", "-p", "n_throws=1", "-p", "n_throws=2"], "for `seedbook sweep`"),
        (["run", "dice", "--profile", "fast"], "has no profile 'fast'"),
        (["run", "dice", "--replicate", "-1"], "must be 0 or more"),
        (["sweep", "dice", "--seeds", "0"], "must be 1 or more"),
        (["sweep", "dice", "-p", "seed=3"], "derives its seeds"),
        (["compare", "dice"], "no run 'dice'"),
        (["new", "dice"], "is there already; nothing was written"),
    ],
)
def test_wrong_questions_exit_2_before_anything_starts(book, capsys, words, sentence):
    before = sorted(book.root.rglob("*"))
    code, out, err = call(capsys, *words)
    assert code == 2 and sentence in err and err.count("\n") == 1
    assert sorted(book.root.rglob("*")) == before


def test_list_show_check_why(ran, capsys):
    assert "not published" in call(capsys, "list")[1]
    out = call(capsys, "show", "dice")[1]
    assert "n_throws" in out and "more narrow the interval" in out and "profile smoke" in out
    assert call(capsys, "check") == (0, "dice: ok\n", "")
    assert "there is no quick edition" in call(capsys, "why")[1]
    assert call(capsys, "publish", "dice")[0] == 0
    assert "dice quick: current" in call(capsys, "why", "dice")[1]
    assert re.search(r"\d s +– +●", call(capsys, "list")[1])  # a quick edition, no full one
    ran.edit("throws", "eyes = throw", "print(1)\neyes = throw")
    code, out, _ = call(capsys, "check", "dice")
    assert code == 1 and "print nothing" in out
    assert "experiment: cell throws changed" in call(capsys, "why", "dice")[1]


def test_publishing_says_which_data_were_not_there(book, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBOOK_MIRROR", str(tmp_path))
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path))
    path = book.root / "notebooks" / "catalog.yml"
    source = f'source: "github:some/one@{"0" * 40}", path: logs.csv, sha256: "{"0" * 64}"'
    path.write_text(path.read_text() + f"    data: [{{name: logs, {source}}}]\n")
    code, out, err = call(capsys, "publish", "dice")
    assert code == 0 and "published" in out and "made without logs" in err


def test_run_that_exists_and_compare(ran, capsys):
    code, out, _ = call(capsys, "run", "dice")
    assert code == 0 and "supported" in out
    call(capsys, "publish", "dice")
    code, out, err = call(capsys, "run", "dice", "-p", "n_throws=60")
    assert code == 0 and "smoke profile: these verdicts mean nothing" in out
    assert "cell 7 of 7" in err
    code, out, _ = call(capsys, "compare", "dice")
    assert code == 0 and "n_throws: 60 in A, 600 in B" in out
    first, second = (r.folder.name for r in store.runs(ran.root, "dice"))
    assert call(capsys, "compare", f"dice/{first[:6]}", f"dice/{second}")[0] == 0


def test_verify_holds_numbers_against_the_tolerance(ran, capsys):
    call(capsys, "publish", "dice")
    before = sorted(p.name for p in (ran.root / "runs" / "dice").iterdir())
    assert call(capsys, "verify")[1] == "dice: every number holds\n"
    assert sorted(p.name for p in (ran.root / "runs" / "dice").iterdir()) == before
    edition = ran.root / "book" / "editions" / "dice" / "quick" / "claims.json"
    edition.write_text(
        edition.read_text().replace('"verdict": "supported"', '"verdict": "contradicted"')
    )
    code, out, _ = call(capsys, "verify", "dice")
    assert code == 1 and "claim c1: contradicted before, supported now" in out


def test_tolerances_are_per_measure():
    def record(x):
        part = {"estimate": x, "low": x, "high": x}
        return {"measures": {"a": part, "b": part}, "verdicts": {}}

    assert cli.held_against(record(1.0), record(1.0), {"default": 0}) == []
    assert len(cli.held_against(record(1.0), record(1.1), {"default": 0.2, "a": 0.05})) == 3


def test_sweep_tabulates_seeds_and_values(ran, capsys, tmp_path):
    table = tmp_path / "sweep.csv"
    words = ["sweep", "dice", "-p", "n_throws=60", "-p", "n_throws=6000", "--seeds", "2"]
    code, out, _ = call(capsys, *words, "--out", str(table))
    assert code == 0 and "2 of 2" in out
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 4 and len({r["seed"] for r in rows}) == 4
    assert {r["n_throws"] for r in rows} == {"60", "6000"}


def test_scaffold_keeps_the_contract(book, capsys):
    path = book.root / "notebooks" / "catalog.yml"
    text = path.read_text()
    entry = text[text.index("  - slug: dice") :]
    path.write_text(
        text
        + entry.replace("dice", "coin")
        .replace("Fair dice", "Fair coin")
        .replace("n_throws", "n_draws")
    )
    assert call(capsys, "new", "coin")[0] == 0
    assert call(capsys, "check", "coin")[1] == "coin: ok\n"
    code, out, err = call(capsys, "run", "coin", "--profile", "smoke")
    assert code == 0, err


def test_failure_exits_1_and_names_the_folder(book, capsys):
    book.edit("throws", "eyes = throw", "raise ValueError('no')\neyes = throw")
    code, _, err = call(capsys, "run", "dice")
    assert code == 1 and "failed in cell 'throws' (5 of 7): ValueError: no" in err
    assert "what there is of it lies in" in err


def test_doctor_says_what_to_do(book, capsys, monkeypatch):
    code, out, _ = call(capsys, "doctor")
    assert "1 of 1 chapters" in out
    monkeypatch.setenv("SEEDBOOK_MIRROR", "/no/such/folder")
    code, out, _ = call(capsys, "doctor")
    assert code == 1 and "names /no/such/folder, which is no folder" in out


def test_outside_a_book_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SEEDBOOK_ROOT", str(tmp_path))
    code, _, err = call(capsys, "list")
    assert code == 2 and "SEEDBOOK_ROOT" in err


def test_start_up_imports_nothing_heavy():
    heavy = "{'numpy', 'pandas', 'torch', 'papermill', 'matplotlib', 'sphinx', 'rich'}"
    code = f"import sys, seedbook.press.cli; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_command_has_help(capsys):
    for name in (
        "list show check why run sweep export compare verify publish book serve new doctor".split()
    ):
        with pytest.raises(SystemExit) as left:
            cli.main([name, "--help"])
        assert left.value.code == 0
    capsys.readouterr()
