"""The README agrees with the catalogue and with the commands that there are."""

import re

from seedbook.press import catalog, cli
from tiny import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BEGIN, END = "by test -->\n", "<!-- end of chapters -->"


def table() -> str:
    book = catalog.load(REPOSITORY)
    lines = ["| part | chapter | question | paper |", "|---|---|---|---|"]
    for part in book.parts:
        for c in (c for c in book.chapters if c.part == part.id):
            lines.append(f"| {part.title} | {c.short} | {c.question} | {c.authors_short} |")
    return "\n".join(lines) + "\n"


def test_table_of_chapters():
    found = README[README.index(BEGIN) + len(BEGIN) : README.index(END)]
    assert found == table(), f"write this into the README:\n{table()}"


def test_commands_are_real():
    known = set(re.findall(r"^    ([a-z]+) ", cli._parser().format_help(), re.M))
    for command in re.findall(r"^seedbook (\w+)", README, re.M):
        assert command in known, command
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert target in targets


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)h][^)]*)\)", README):
        assert (REPOSITORY / target).exists(), target
