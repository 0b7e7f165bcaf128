"""Typed parameters, read from a chapter's `parameters` cell without running it.

One physical line each: ``name: type = literal  # [low, high] what happens when it moves``.

>>> cell = '''
... # Sampling
... tau: float = 0.2  # (0, 1] smaller keeps fewer words
... sizes: list[int] = [6, 8]  # [4, 64] larger is slower
... '''
>>> tau, sizes = parse(cell)
>>> tau.name, tau.type, tau.default, tau.range, tau.help
('tau', 'float', 0.2, '(0, 1]', 'smaller keeps fewer words')
>>> resolve([tau, sizes], {"tau": 1})
{'tau': 1.0, 'sizes': [6, 8]}
>>> resolve([tau, sizes], {"tau": 2})
Traceback (most recent call last):
...
seedbook.press.parameters.ParameterError: tau = 2: must lie in (0, 1]
"""

from __future__ import annotations

import ast
import difflib
import io
import math
import re
import tokenize
from dataclasses import dataclass
from typing import Any

SCALARS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
MAX_TEXT = 200  # characters of a string value
MAX_LIST = 200  # elements of a list value
_RANGE = re.compile(r"\s*([\[(])\s*([^,\[\]()]+?)\s*,\s*([^,\[\]()]+?)\s*([\])])\s*(.*)")


class ParameterError(ValueError):
    """A parameter that cannot be used, in one line."""


@dataclass(frozen=True)
class Parameter:
    """One line of the `parameters` cell.

    Attributes
    ----------
    name, type : str
        The type as written, without ``| None``.
    scalar : str
        ``int``, ``float``, ``bool``, ``str`` or ``choice``: of the value, or of a list's elements.
    default : object
        The literal on the line.
    optional, many : bool
        May be None; is a list.
    low, high : float or None
        Bounds, on each element of a list; None where the line states no range.
    low_open, high_open : bool
        Whether the bound itself is excluded.
    choices : tuple
        Allowed values of a ``Literal``.
    group, help : str
        The comment line above the group, and the comment behind the value.
    """

    name: str
    type: str
    scalar: str
    default: Any
    optional: bool = False
    many: bool = False
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    choices: tuple = ()
    group: str = ""
    help: str = ""

    @property
    def range(self) -> str:
        """The range as it is written, or an empty string."""
        if self.low is None or self.high is None:
            return ""
        left, right = "[("[self.low_open], "])"[self.high_open]
        return f"{left}{self.low:.15g}, {self.high:.15g}{right}"


def parse(source: str) -> list[Parameter]:
    """Parameters of a cell, in order.

    Raises
    ------
    ParameterError
        With the line, when something else than annotated literals stands in the cell.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ParameterError(f"parameters cell, line {error.lineno}: {error.msg}") from None
    comments: dict[int, tuple[int, str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = (token.start[1], token.string.lstrip("# ").rstrip())
    found: list[Parameter] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            continue
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            raise ParameterError(
                f"parameters cell, line {node.lineno}: only lines `name: type = literal  # [low, high]"
                " help` may stand here"
            )
        if node.end_lineno != node.lineno:
            raise ParameterError(f"parameter {node.target.id!r}: write it on one line")
        group = next(
            (
                text
                for line in range(node.lineno, 0, -1)
                if line in comments and comments[line][0] == 0
                for text in [comments[line][1]]
            ),
            "",
        )
        comment = comments.get(node.lineno, (0, ""))[1]
        parameter = _parameter(node, group, comment)
        if parameter.name in {p.name for p in found}:
            raise ParameterError(f"parameter {parameter.name!r} is assigned twice")
        found.append(parameter)
    return found


def _parameter(node: ast.AnnAssign, group: str, comment: str) -> Parameter:
    assert isinstance(node.target, ast.Name)
    name = node.target.id
    try:
        default = ast.literal_eval(node.value)  # type: ignore[arg-type]
    except (ValueError, TypeError, SyntaxError):
        raise ParameterError(f"parameter {name!r}: its value must be a literal") from None
    annotation, optional = node.annotation, False
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        if not (isinstance(annotation.right, ast.Constant) and annotation.right.value is None):
            raise ParameterError(f"parameter {name!r}: the only union allowed is `… | None`")
        annotation, optional = annotation.left, True
    text, many, choices = ast.unparse(annotation), False, ()
    head = annotation.value if isinstance(annotation, ast.Subscript) else None
    if isinstance(head, ast.Name) and head.id == "Literal":
        assert isinstance(annotation, ast.Subscript)
        value = ast.literal_eval(annotation.slice)
        choices = value if isinstance(value, tuple) else (value,)
        scalar = "choice"
    else:
        if isinstance(head, ast.Name) and head.id == "list":
            assert isinstance(annotation, ast.Subscript)
            annotation, many = annotation.slice, True
        scalar = ast.unparse(annotation)
        if scalar not in SCALARS or (many and scalar == "bool"):
            raise ParameterError(
                f"parameter {name!r}: type {text!r} is not allowed; use int, float, bool, str, "
                "list[int | float | str], Literal[…], or one of them | None"
            )
    bounds: dict[str, Any] = {}
    match = _RANGE.match(comment)
    if match and scalar in ("int", "float"):
        left, low, high, right, comment = match.groups()
        try:
            bounds = {"low": float(low), "high": float(high)}
        except ValueError:
            raise ParameterError(
                f"parameter {name!r}: range [{low}, {high}] is not numeric"
            ) from None
        bounds |= {"low_open": left == "(", "high_open": right == ")"}
    parameter = Parameter(
        name,
        text,
        scalar,
        default,
        optional,
        many,
        choices=choices,
        group=group,
        help=comment,
        **bounds,
    )
    check_value(parameter, default)
    return parameter


def check_value(parameter: Parameter, value: Any) -> Any:
    """The value, cast where that is harmless (int to float).

    Raises
    ------
    ParameterError
        One line: what was given, what is allowed.
    """
    p = parameter
    if value is None and p.optional:
        return None
    if not p.many:
        return _check_scalar(p, value)
    if not isinstance(value, list):
        raise ParameterError(
            f"{p.name} = {_short(value)}: must be a {p.type}, for example {p.default}"
        )
    if not value:
        raise ParameterError(f"{p.name} = []: a list must not be empty")
    if len(value) > MAX_LIST:
        raise ParameterError(f"{p.name}: at most {MAX_LIST} elements, got {len(value)}")
    return [_check_scalar(p, v) for v in value]


def _check_scalar(p: Parameter, value: Any) -> Any:
    if p.scalar == "choice":
        if not any(type(value) is type(c) and value == c for c in p.choices):
            allowed = ", ".join(map(repr, p.choices))
            raise ParameterError(f"{p.name} = {_short(value)}: must be one of {allowed}")
        return value
    if p.scalar == "float" and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            raise ParameterError(f"{p.name} = {_short(value)}: too large for a float") from None
    if type(value) is not SCALARS[p.scalar]:
        what = (
            f"a list of {p.scalar}"
            if p.many
            else f"{'an' if p.scalar == 'int' else 'a'} {p.scalar}"
        )
        raise ParameterError(f"{p.name} = {_short(value)}: must be {what}")
    if p.scalar == "float" and not math.isfinite(value):
        raise ParameterError(f"{p.name} = {value}: must be a finite number")
    if p.scalar == "str" and (len(value) > MAX_TEXT or not value.isprintable()):
        raise ParameterError(
            f"{p.name}: must be one printable line of at most {MAX_TEXT} characters"
        )
    if p.low is not None and p.high is not None and p.scalar in ("int", "float"):
        low = value > p.low if p.low_open else value >= p.low
        high = value < p.high if p.high_open else value <= p.high
        if not (low and high):
            raise ParameterError(f"{p.name} = {value:.15g}: must lie in {p.range}")
    return value


def resolve(parameters: list[Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """Defaults with `given` laid over them, checked.

    Raises
    ------
    ParameterError
        On an unknown name (with the nearest one), a wrong type, a value out of range.
    """
    by_name = {p.name: p for p in parameters}
    for name in given:
        if name not in by_name:
            near = difflib.get_close_matches(str(name), by_name, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(by_name)}"
            raise ParameterError(f"unknown parameter {_short(name)}; {hint}")
    return {
        name: check_value(p, given[name]) if name in given else check_value(p, p.default)
        for name, p in by_name.items()
    }


def from_text(parameters: list[Parameter], text: str) -> tuple[str, Any]:
    """``name=value`` of a command line as a name and an unchecked value.

    Values are Python literals, read with `ast.literal_eval`; a text that is none stays text, so
    that strings and choices need no quotes.

    >>> from_text([], "tau=0.5"), from_text([], "taus=[0.2, 0.9]"), from_text([], "rule=typical")
    (('tau', 0.5), ('taus', [0.2, 0.9]), ('rule', 'typical'))
    """
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ParameterError(f"{_short(text)}: write -p name=value")
    name, value = name.strip(), value.strip()
    kind = next((p.scalar for p in parameters if p.name == name and not p.many), None)
    if kind == "str" and value[:1] not in "'\"":
        return name, value
    if value.lower() in ("true", "false") and kind in (None, "bool"):
        return name, value.lower() == "true"
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return name, value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
