"""A chapter's source notebook: its cells, their stages, and whether they keep the contract."""

from __future__ import annotations

import ast
import builtins
import functools
import re
import symtable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import catalog, parameters
from .root import root as find_root

STAGES = ("parameters", "setup", "claims", "experiment", "view")
MAX_CODE_CELLS, MAX_LINES, MAX_CELL_LINES, MAX_COLUMNS = 15, 320, 65, 88
MARKDOWN_IDS = (
    "title",
    "idea",
    "before-the-data",
    "experiment",
    "figures",
    "verdicts-text",
    "side-by-side",
    "exercises",
)
LAST_PARAMETERS = {"seed": "int | None", "device": "str", "salmon": "bool"}
_DISPLAYED = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
PLACEHOLDER = re.compile(r"\{\{ ([a-z][a-z0-9_]*) \}\}")


class ChapterError(ValueError):
    """A source notebook that cannot be used, in one line."""


@dataclass(frozen=True)
class Cell:
    """A cell of a source notebook.

    `stage` is one of `STAGES` for code, ``"markdown"`` for prose.
    """

    id: str
    stage: str
    source: str
    metadata: dict[str, Any]

    @property
    def tags(self) -> list[str]:
        return list(self.metadata.get("tags", []))

    @property
    def figure(self) -> str | None:
        """Name of the figure that the cell draws, ``fig-<slug>-<what>``."""
        return self.metadata.get("mystnb", {}).get("figure", {}).get("name")

    @functools.cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """(bound, read): names that the cell binds at top level, and names it needs from outside."""
        return _names(self.source, self.id)


@dataclass(frozen=True)
class Source:
    """A source notebook: `cells` in order, `raw` as read from disk."""

    slug: str
    path: Path
    cells: tuple[Cell, ...]
    raw: dict[str, Any]

    @property
    def code(self) -> list[Cell]:
        return [c for c in self.cells if c.stage != "markdown"]

    def stage(self, *stages: str) -> list[Cell]:
        return [c for c in self.cells if c.stage in stages]

    def only(self, stage: str) -> Cell:
        """The one cell of a stage.

        Raises
        ------
        ChapterError
            If there is none, or more than one.
        """
        cells = self.stage(stage)
        if len(cells) != 1:
            raise ChapterError(f"{self.slug}: needs one cell tagged `{stage}`, has {len(cells)}")
        return cells[0]

    @property
    def uses_device(self) -> bool:
        """Whether an experiment reads the parameter `device`."""
        return any("device" in cell.names[1] for cell in self.stage("experiment"))

    @functools.cached_property
    def parameters(self) -> list[parameters.Parameter]:
        return parameters.parse(self.only("parameters").source)


def read(slug: str, root: Path | None = None) -> Source:
    """The source notebook of a chapter.

    Raises
    ------
    ChapterError
        If the notebook is missing or not a notebook.
    """
    root = root or find_root()
    return read_file(root / "notebooks" / f"{slug}.ipynb", slug)


def read_file(path: Path, slug: str | None = None) -> Source:
    """The source notebook at `path`; see `read`."""
    import json

    slug = slug or path.stem
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        cells = tuple(_cell(c, i) for i, c in enumerate(raw["cells"]))
    except FileNotFoundError:
        raise ChapterError(
            f"{slug}: there is no notebook {path.name} yet; `seedbook list` shows what there is"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChapterError(f"{slug}: {path.name} is not a readable notebook ({error})") from None
    return Source(slug, path, cells, raw)


def _cell(raw: dict[str, Any], i: int) -> Cell:
    text = raw["source"] if isinstance(raw["source"], str) else "".join(raw["source"])
    metadata = raw.get("metadata", {})
    tags = metadata.get("tags", [])
    stage = "markdown"
    if raw["cell_type"] == "code":
        stage = next(
            (t for t in ("parameters", "setup", "claims", "view") if t in tags), "experiment"
        )
    return Cell(raw.get("id", f"cell-{i}"), stage, text, metadata)


def _names(source: str, label: str) -> tuple[frozenset[str], frozenset[str]]:
    table = symtable.symtable(source, label, "exec")
    bound = {
        s.get_name()
        for s in table.get_symbols()
        if s.is_assigned() or s.is_imported() or s.is_namespace()
    }
    read: set[str] = {s.get_name() for s in table.get_symbols() if s.is_referenced()}

    def visit(scope: symtable.SymbolTable) -> None:
        for s in scope.get_symbols():
            if s.is_global() and s.is_referenced():
                read.add(s.get_name())
            if s.is_global() and s.is_assigned():
                bound.add(s.get_name())
        for child in scope.get_children():
            visit(child)

    for child in table.get_children():
        visit(child)
    return frozenset(bound), frozenset(read - bound)


def imports(cell: Cell) -> dict[str, tuple[str, str | None]]:
    """Names that a cell imports: name -> (module, symbol), symbol None for a module.

    >>> imports(Cell("setup", "setup", "import numpy as np\\nfrom math import log", {}))
    {'np': ('numpy', None), 'log': ('math', 'log')}
    """
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Import):
            for a in node.names:
                found[a.asname or a.name.split(".")[0]] = (
                    a.name if a.asname else a.name.split(".")[0],
                    None,
                )
        elif isinstance(node, ast.ImportFrom):
            for a in node.names:
                found[a.asname or a.name] = (node.module or "", a.name)
    return found


def pruned_setup(source: Source, wanted: set[str]) -> str:
    """The `setup` cell cut down to the imports whose names are wanted."""
    lines = []
    for node in ast.parse(source.only("setup").source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            kept = [
                a
                for a in node.names
                if (
                    a.asname or a.name.split(".")[0]
                    if isinstance(node, ast.Import)
                    else a.asname or a.name
                )
                in wanted
            ]
            if kept:
                node.names = kept
                lines.append(ast.unparse(node))
    return "\n".join(lines)


def view_reads(source: Source) -> set[str]:
    """Names that the claims and view cells need from outside themselves."""
    return {n for c in source.stage("claims", "view") for n in c.names[1]}


def definitions(slug: str, root: Path | None = None, cells: Sequence[str] = ()) -> dict[str, Any]:
    """Run `setup` and `method` of a chapter and give what they define.

    The one way to a notebook's functions from outside: tests and the seminar kit use it.

    Parameters
    ----------
    cells : sequence of str
        Ids of further experiment cells. Of these only functions, classes and constants in
        capitals are defined; what the cells compute is left out.

    Raises
    ------
    ChapterError
        If the first experiment cell is not `method`, or a further cell is not in the notebook.
    """
    source = read(slug, root)
    method = source.stage("experiment")[0]
    if method.id != "method":
        raise ChapterError(
            f"{slug}: its first experiment cell has the id {method.id!r}, not 'method'"
        )
    further = {cell.id: cell for cell in source.stage("experiment")[1:]}
    if missing := [id for id in cells if id not in further]:
        raise ChapterError(f"{slug}: no experiment cell {missing[0]!r}; it has {list(further)}")
    space: dict[str, Any] = {"__name__": f"seedbook_chapter_{slug}"}
    for cell in (source.only("setup"), method, *(further[id] for id in cells)):
        tree = ast.parse(cell.source)
        if cell.id in further:
            tree.body = [node for node in tree.body if defines(node)]
        exec(compile(tree, f"<{slug}: {cell.id}>", "exec"), space)
    return space


def defines(node: ast.stmt) -> bool:
    """Whether a statement defines a function, a class or a constant in capitals."""
    if isinstance(node, ast.Assign):
        constant = all(isinstance(t, ast.Name) and t.id.isupper() for t in node.targets)
        return constant or isinstance(node.value, ast.Lambda)
    return isinstance(node, (ast.FunctionDef, ast.ClassDef))


def measures(source: Source) -> list[str]:
    """Measure names that the claims cell speaks of, read without running it."""
    found: list[Any] = []
    for node in ast.walk(ast.parse(source.only("claims").source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in ("above", "below", "inside", "equivalent") and node.args:
            found += [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
        for k in node.keywords:
            if k.arg in ("measure", "null") and isinstance(k.value, ast.Constant):
                found.append(k.value.value)
    return [m for m in dict.fromkeys(found) if isinstance(m, str) and m != "-"]


# -- the check ------------------------------------------------------------------------------------


def check(source: Source, entry: catalog.Chapter | None = None) -> list[str]:
    """What breaks the contract, one sentence each; empty when all is well."""
    problems: list[str] = []
    rules = [_shape, _ids, _limits, _parameters, _stages, _figures, _prose]
    if entry is not None:
        rules.append(functools.partial(_entry, entry=entry))
    for rule in rules:
        try:
            problems += rule(source)
        except (ChapterError, parameters.ParameterError) as error:
            problems.append(str(error))
        except SyntaxError as error:
            problems.append(f"a code cell does not parse: {error.msg}, line {error.lineno}")
            break
    return list(dict.fromkeys(problems))


def _shape(source: Source) -> list[str]:
    out = []
    order = [STAGES.index(c.stage) for c in source.code]
    if order != sorted(order):
        out.append("code cells are out of order: parameters, setup, claims, experiment, view")
    for stage, least in (("experiment", 1), ("view", 2)):
        if len(source.stage(stage)) < least:
            out.append(f"needs at least {least} {stage} cell(s)")
    for stage in ("parameters", "setup", "claims"):
        source.only(stage)
    for cell in source.code:
        if len({"parameters", "setup", "claims", "view"} & set(cell.tags)) > 1:
            out.append(f"cell {cell.id!r}: at most one of the tags parameters, setup, claims, view")
        if extra := set(cell.tags) - {
            "parameters",
            "setup",
            "claims",
            "view",
            "thumbnail",
            "photo",
        }:
            out.append(f"cell {cell.id!r}: unknown tags {sorted(extra)}")
    for raw in source.raw["cells"]:
        if raw["cell_type"] == "code" and (raw.get("outputs") or raw.get("execution_count")):
            out.append(f"cell {raw.get('id')!r}: a source notebook carries no outputs")
    if source.raw.get("nbformat_minor", 0) < 5 or source.raw.get("nbformat") != 4:
        out.append("the notebook must be nbformat 4.5 (cells have ids)")
    for node in ast.parse(source.only("setup").source).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            out.append(f"setup, line {node.lineno}: only imports may stand here")
    return out


def _ids(source: Source) -> list[str]:
    out = []
    ids = [c.id for c in source.cells]
    for name in dict.fromkeys(i for i in ids if ids.count(i) > 1):
        out.append(f"cell id {name!r} stands twice")
    for name in MARKDOWN_IDS:
        if name not in ids:
            out.append(f"no Markdown cell has the id {name!r}")
    for cell in source.cells:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", cell.id):
            out.append(f"cell id {cell.id!r}: write lower-case words with hyphens")
    for stage in ("parameters", "setup", "claims"):
        if source.only(stage).id != stage:
            out.append(f"the `{stage}` cell's id must be {stage!r}")
    experiments = source.stage("experiment")
    if experiments and experiments[0].id != "method":
        out.append("the first experiment cell must have the id 'method'")
    if source.code and source.code[-1].id != "verdicts":
        out.append("the last code cell must have the id 'verdicts'")
    for before, cell in zip(source.cells, source.cells[1:], strict=False):
        if cell.stage == "experiment" and cell.id != "method":
            if before.stage != "markdown":
                out.append(f"cell {cell.id!r}: a Markdown cell must stand before it and say why")
            elif before.id != f"about-{cell.id}":
                out.append(f"the Markdown before {cell.id!r} must have the id 'about-{cell.id}'")
    return out


def _limits(source: Source) -> list[str]:
    out = []
    counted = [c for c in source.code if c.stage in ("experiment", "view")]
    total = sum(len(c.source.splitlines()) for c in counted)
    if len(source.code) > MAX_CODE_CELLS:
        out.append(f"{len(source.code)} code cells; at most {MAX_CODE_CELLS}")
    if total > MAX_LINES:
        out.append(f"{total} lines outside parameters, setup and claims; at most {MAX_LINES}")
    for cell in source.code:
        lines = cell.source.splitlines()
        if cell in counted and len(lines) > MAX_CELL_LINES:
            out.append(f"cell {cell.id!r}: {len(lines)} lines; at most {MAX_CELL_LINES}")
        for i, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS:
                out.append(
                    f"cell {cell.id!r}, line {i}: {len(line)} columns; at most {MAX_COLUMNS}"
                )
    return out


def _parameters(source: Source) -> list[str]:
    out = []
    declared = source.parameters
    last = {p.name: p.type + (" | None" if p.optional else "") for p in declared[-3:]}
    if last != LAST_PARAMETERS:
        out.append("the last parameters must be seed: int | None, device: str, salmon: bool")
    read = {n for c in source.code for n in c.names[1]}
    for p in declared:
        if p.name not in read and p.name != "device":
            out.append(f"parameter {p.name!r} is read by no cell")
        if p.scalar in ("int", "float") and p.low is None:
            out.append(f"parameter {p.name!r}: state its range, `# [low, high] what it does`")
        if not p.help:
            out.append(f"parameter {p.name!r}: say in a comment what happens when it moves")
        for cell in source.code:
            if cell.stage != "parameters" and p.name in cell.names[0]:
                out.append(f"cell {cell.id!r} assigns the parameter {p.name!r}")
    return out


def _calls(cell: Cell) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
    return found


def _stages(source: Source) -> list[str]:
    out = []
    known = set(dir(builtins)) | {p.name for p in source.parameters}
    known |= set(imports(source.only("setup"))) | {"ledger", "Literal"}
    experiment_binds: dict[str, str] = {}
    bound: set[str] = set()
    for cell in source.stage("experiment"):
        calls = _calls(cell)
        if "frames.load" in calls:
            out.append(f"cell {cell.id!r} (experiment) loads a frame: only views do")
        if "ledger" in cell.names[1]:
            out.append(f"cell {cell.id!r} (experiment) reads `ledger`: only views measure")
        if "print" in calls:
            out.append(f"cell {cell.id!r}: experiments print nothing but a tqdm bar")
        for name in cell.names[1] - known - bound:
            out.append(f"cell {cell.id!r} reads {name!r}, which nothing before it binds")
        bound |= cell.names[0]
        experiment_binds |= dict.fromkeys(cell.names[0], cell.id)
    method = source.stage("experiment")[0]
    for p in source.parameters:
        if p.name in _top_reads(method):
            out.append(
                f"cell 'method' reads the parameter {p.name!r} at top level: definitions only"
            )
    verdict_names: set[str] = set()
    for cell in source.stage("view"):
        calls = _calls(cell)
        if calls & {"frames.save", "frames.skip"}:
            out.append(f"cell {cell.id!r} (view) saves a frame: only experiments do")
        for name in sorted(cell.names[1] - known - verdict_names):
            where = experiment_binds.get(name)
            out.append(
                f"cell {cell.id!r} (view) reads {name!r}, which "
                + (
                    f"experiment cell {where!r} binds: pass it through a frame"
                    if where
                    else "nothing binds"
                )
            )
        if not cell.figure:
            verdict_names |= cell.names[0]
    setup = imports(source.only("setup"))
    for name in view_reads(source) & set(setup):
        if setup[name][0].split(".")[0] in ("torch", "transformers"):
            out.append(f"a view cell uses {name!r} ({setup[name][0]}): views need no model")
    for cell in source.code:
        calls = _calls(cell)
        for bad in (
            "input",
            "sys.exit",
            "exit",
            "quit",
            "np.random.seed",
            "random.seed",
            "torch.manual_seed",
        ):
            if bad in calls:
                out.append(f"cell {cell.id!r} calls {bad}(), which no chapter may")
        if re.search(r"tqdm\.auto|tqdm\.notebook", cell.source):
            out.append(f"cell {cell.id!r}: import tqdm from tqdm, not the widget")
        if any(c.endswith("display") for c in calls):
            out.append(
                f"cell {cell.id!r}: nothing is displayed by hand; figures and the ledger are"
            )
    for cell in (source.only("claims"), source.code[-1]):
        last = ast.parse(cell.source).body[-1:]
        if not (last and isinstance(last[0], ast.Expr) and ast.unparse(last[0]) == "ledger"):
            out.append(f"cell {cell.id!r} must end with `ledger`")
    return out


def _top_reads(cell: Cell) -> set[str]:
    """Names that a cell reads at its top level, outside every function body."""
    table = symtable.symtable(cell.source, cell.id, "exec")
    return {s.get_name() for s in table.get_symbols() if s.is_referenced()}


def _figures(source: Source) -> list[str]:
    out = []
    views = source.stage("view")
    figures = [c for c in views if c.figure]
    if sum("thumbnail" in c.tags for c in views) != 1:
        out.append("one figure cell, and only one, must have the tag `thumbnail`")
    for cell in views:
        if cell.id.startswith("fig-") != bool(cell.figure):
            out.append(
                f"cell {cell.id!r}: figure cells are named fig-<what> and carry mystnb.figure.name"
            )
    for cell in figures:
        mystnb = cell.metadata["mystnb"]
        if cell.figure != f"fig-{source.slug}-{cell.id.removeprefix('fig-')}":
            out.append(
                f"cell {cell.id!r}: its figure must be named fig-{source.slug}-{cell.id[4:]}"
            )
        if not mystnb["figure"].get("caption"):
            out.append(f"cell {cell.id!r}: the figure has no caption")
        if not mystnb.get("image", {}).get("alt"):
            out.append(f"cell {cell.id!r}: the figure has no alternative text")
        if set(mystnb.get("image", {})) - {"alt"}:
            out.append(f"cell {cell.id!r}: image metadata may hold `alt` alone")
        body = ast.parse(cell.source).body
        if not body or ast.unparse(body[-1]) != "plt.show()":
            out.append(f"cell {cell.id!r} must end with plt.show()")
        if sum(c in ("plt.subplots", "plt.figure", "plt.subplot_mosaic") for c in _calls(cell)) > 1:
            out.append(f"cell {cell.id!r}: one figure a cell")
    return out


def _prose(source: Source) -> list[str]:
    out = []
    known = {*measures(source), *(p.name for p in source.parameters)}
    for cell in source.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        text = cell.source if cell.stage == "markdown" else figure.get("caption", "")
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                out.append(
                    f"cell {cell.id!r}: {{{{ {name} }}}} names no measure of the claims and no "
                    "parameter"
                )
        if any("\\tag" in f and "\\\\" in f for f in _DISPLAYED.findall(text)):
            out.append(
                f"cell {cell.id!r}: a formula of several lines can have no \\tag: write one line"
            )
        if "attachments" in cell.metadata:
            out.append(f"cell {cell.id!r}: no attachments")
    if source.cells and source.cells[0].id != "title":
        out.append("the first cell must be the title")
    return out


def _entry(source: Source, entry: catalog.Chapter) -> list[str]:
    out = []
    heading = next(iter(source.cells[0].source.splitlines()), "")
    if heading != f"# {entry.title}":
        out.append(f"the first heading is {heading!r}, the catalogue's title {entry.title!r}")
    ledger = re.search(r"Ledger\(\s*['\"]([^'\"]+)", source.only("claims").source)
    if not ledger or ledger.group(1) != source.slug:
        out.append(f"the ledger must be named {source.slug!r}")
    for name in ("smoke", "full"):
        if name not in entry.profiles:
            out.append(f"the catalogue has no profile {name!r} for it")
    for name, profile in entry.profiles.items():
        try:
            parameters.resolve(source.parameters, profile["set"])
        except parameters.ParameterError as error:
            out.append(f"profile {name!r}: {error}")
    known = re.findall(r"\.claim\(\s*['\"]([^'\"]+)", source.only("claims").source)
    if unknown := sorted(set(entry.paper_values) - set(known)):
        out.append(f"`paper_values` names {unknown}; claims are {known}")
    for control in entry.power:
        try:
            parameters.resolve(source.parameters, control["set"])
        except parameters.ParameterError as error:
            out.append(f"a positive control under `power`: {error}")
        if unknown := sorted(set(control["claims"]) - set(known)):
            out.append(f"a positive control under `power` names {unknown}; claims are {known}")
    if not entry.tolerance.get("why"):
        out.append("the catalogue must state a tolerance and why: tolerance: {default: 0, why: …}")
    return out
