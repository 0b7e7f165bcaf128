"""The places that pin versions agree with each other."""

import os
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINNED = {
    "torch": "2.13.0",
    "papermill": "2.7.0",
    "nbclient": "0.11.0",
    "jupyter-book": "1.0.4.post1",
    "sphinx-book-theme": "1.1.4",
    "pydata-sphinx-theme": "0.15.4",
}


def pins(path):
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    found = [line.split("==") for line in lines if line]
    return {canonicalize_name(name): pin for name, pin in found}


CONSTRAINTS = pins(ROOT / "requirements" / "constraints.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["dependencies"])}


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


@pytest.mark.parametrize("name", PINNED)
def test_what_breaks_the_book_when_it_moves_is_pinned(name):
    assert str(REQUIREMENTS[name].specifier) == f"=={PINNED[name]}"


@pytest.mark.parametrize("name", sorted(REQUIREMENTS))
def test_constraints_meet_the_requirements(name):
    if name == "torch":  # not constrained: its build (CPU or CUDA) is the machine's choice
        assert name not in CONSTRAINTS
    else:
        assert REQUIREMENTS[name].specifier.contains(CONSTRAINTS[name]), (
            f"requirements/constraints.txt has {name} {CONSTRAINTS[name]}, "
            f"pyproject.toml asks for {REQUIREMENTS[name].specifier}"
        )


def test_environment_installs_from_the_same_pins(environment):
    (pip,) = (entry["pip"] for entry in environment if isinstance(entry, dict))
    assert "-c requirements/constraints.txt" in pip and "-e ." in pip
    explicit = [line for line in pip if not line.startswith("-")]
    assert explicit == [], "versions stand in pyproject.toml and constraints.txt, nowhere else"


def test_environment_has_a_python_that_the_package_takes(environment):
    (python,) = (e for e in environment if isinstance(e, str) and e.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(
        python.split("=")[1]
    )


def test_make_installs_the_pinned_torch():
    named = re.findall(r"torch==(\S+)", (ROOT / "Makefile").read_text())
    assert set(named) == {PINNED["torch"]}


def test_post_build_installs_what_must_come_without_dependencies():
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK)
    assert "--no-deps -r requirements/no-deps.txt" in script.read_text()
    for name in pins(ROOT / "requirements" / "no-deps.txt"):
        assert name not in CONSTRAINTS and name not in REQUIREMENTS


@pytest.mark.parametrize("name", PINNED)
def test_this_environment_has_the_pinned_version(name):
    assert version(name).split("+")[0] == PINNED[name]
