"""Parameters: read without running, refused before a kernel starts."""

import ast
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seedbook.press.parameters import ParameterError, from_text, parse, resolve

CELL = """
from typing import Literal

# Group one
n: int = 5  # [1, 10] more is slower
x: float = 0.5  # (0, 1) smaller is colder
sizes: list[int] = [6, 8]  # [4, 64] larger is rarer
weights: list[float] = [0.5, 1]  # [0, inf] heavier
# Group two
order: Literal[2, 3, 5] = 2  # prime
rule: Literal["typical", "nucleus"] = "typical"  # which words are kept
name: str = "model"  # any
seed: int | None = None  # [0, 4294967295] None: derived
salmon: bool = False  # null
"""
P = parse(CELL)


def test_reads_groups_ranges_and_help():
    by = {p.name: p for p in P}
    assert by["n"].group == by["sizes"].group == "Group one"
    assert by["order"].group == "Group two"
    assert (by["x"].low_open, by["x"].high_open, by["x"].range) == (True, True, "(0, 1)")
    assert by["weights"].high == math.inf
    assert by["order"].choices == (2, 3, 5)
    assert by["seed"].optional and by["seed"].type == "int"
    assert by["rule"].help == "which words are kept"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"nn": 3}, "unknown parameter 'nn'; did you mean 'n'?"),
        ({"weird": 3}, "unknown parameter 'weird'; there are n, x"),
        ({"n": 3.5}, "n = 3.5: must be an int"),
        ({"n": True}, "n = True: must be an int"),
        ({"n": 0}, "n = 0: must lie in [1, 10]"),
        ({"x": 1}, "x = 1: must lie in (0, 1)"),
        ({"x": math.nan}, "x = nan: must be a finite number"),
        ({"x": math.inf}, "x = inf: must be a finite number"),
        ({"x": 10**400}, "too large for a float"),
        ({"order": 4}, "order = 4: must be one of 2, 3, 5"),
        ({"order": True}, "must be one of"),
        ({"rule": "greedy"}, "rule = 'greedy': must be one of 'typical', 'nucleus'"),
        ({"salmon": 1}, "salmon = 1: must be a bool"),
        ({"seed": "1; import os"}, "seed = '1; import os': must be an int"),
        ({"seed": -1}, "seed = -1: must lie in [0, 4294967295]"),
        ({"sizes": ["6"]}, "sizes = '6': must be a list of int"),
        ({"sizes": []}, "a list must not be empty"),
        ({"sizes": (6, 8)}, "must be a list[int]"),
        ({"sizes": [6, 100]}, "sizes = 100: must lie in [4, 64]"),
        ({"name": "a\nb"}, "must be one printable line"),
        ({"name": "a" * 300}, "at most 200 characters"),
        ({"x = 1\nimport os": 1}, "unknown parameter"),
    ],
)
def test_refuses_in_one_line(given, sentence):
    with pytest.raises(ParameterError) as refused:
        resolve(P, given)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_casts_int_to_float_in_lists_too():
    values = resolve(P, {"weights": [1, 2.5], "seed": 7})
    assert values["weights"] == [1.0, 2.5] and type(values["weights"][0]) is float
    assert values["seed"] == 7 and values["n"] == 5


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("n = 3", "only lines"),
        ("import os", "only lines"),
        ("n: int = 1 + 1", "must be a literal"),
        ("n: int = f()", "must be a literal"),
        ("n: tuple = (1, 2)", "is not allowed"),
        ("n: list[bool] = [True]", "is not allowed"),
        ("n: int | str = 1", "only union"),
        ("n: int = 'a'", "must be an int"),
        ("n: int = 99  # [1, 10] out", "must lie in [1, 10]"),
        ("n: int = (\n    1\n)", "on one line"),
        ("n: int = 1  # [a, b] no", "not numeric"),
        ("n: int = 1\nn: int = 2", "assigned twice"),
        ("n: int = ", "invalid syntax"),
    ],
)
def test_refuses_a_cell_that_is_not_the_grammar(line, sentence):
    with pytest.raises(ParameterError, match=r".*") as refused:
        parse(line)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n=3", 3),
        ("x=1e-3", 1e-3),
        ("sizes=[4, 5]", [4, 5]),
        ("rule=nucleus", "nucleus"),
        ("name=123", "123"),
        ("salmon=true", True),
        ("seed=None", None),
        ("name='quoted'", "quoted"),
    ],
)
def test_command_line_values(text, value):
    name, got = from_text(P, text)
    assert got == value and type(got) is type(value)


@given(st.text(max_size=80))
def test_text_is_never_run(text):
    try:
        name, value = from_text(P, f"x={text}")
    except ParameterError:
        return
    ast.literal_eval(repr(value)) if not isinstance(value, (set, complex)) else None
    try:
        resolved = resolve(P, {name: value})
    except ParameterError as error:
        assert "\n" not in str(error)
    else:
        assert 0 < resolved["x"] < 1


@given(
    st.dictionaries(
        st.sampled_from([p.name for p in P] + ["zz"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=10),
            st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3)), max_size=4),
        ),
    )
)
def test_whatever_is_accepted_is_typed_and_in_range(values):
    try:
        resolved = resolve(P, values)
    except ParameterError as error:
        assert "\n" not in str(error)
        return
    assert set(resolved) == {p.name for p in P}
    assert type(resolved["n"]) is int and 1 <= resolved["n"] <= 10
    assert type(resolved["x"]) is float and 0 < resolved["x"] < 1
    assert all(type(s) is int and 4 <= s <= 64 for s in resolved["sizes"])
    assert resolve(P, resolved) == resolved


@pytest.mark.parametrize(
    "attack",
    ['x=__import__("os").system("touch {}")', "x=0.5); open('{}','w'", "x=[c for c in ()]"],
)
def test_injection_does_nothing(attack, tmp_path):
    mark = tmp_path / "mark"
    name, value = from_text(P, attack.replace("{}", str(mark)))
    with pytest.raises(ParameterError):
        resolve(P, {name: value})
    assert not mark.exists()
