"""What is public is named, documented and packaged."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import bigunet
from bigunet import errors

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_all_is_sorted_and_names_the_whole_public_namespace() -> None:
    for name in bigunet.__all__:
        # Each is imported when it is first used.
        getattr(bigunet, name)
    public = {
        name
        for name, value in vars(bigunet).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert bigunet.__all__ == sorted(public)


@pytest.mark.parametrize("name", bigunet.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(bigunet, name)
    assert value.__doc__
    # A dataclass without one is given its signature.
    assert not value.__doc__.startswith(f"{name}(")


@pytest.mark.parametrize("name", bigunet.__all__)
def test_every_public_name_documents_its_parameters(name: str) -> None:
    value = getattr(bigunet, name)
    if inspect.isclass(value) and issubclass(value, Exception):
        return
    doc = inspect.getdoc(value) or ""
    section = re.search(r"^Parameters\n-{10}\n(.*?)(?:\n\n\w+\n---|\Z)", doc, re.DOTALL | re.M)
    assert section
    names = re.findall(r"^(\S.*?)(?: :.*)?$", section[1], re.MULTILINE)
    documented = {one.lstrip("*") for line in names for one in line.split(", ")}
    assert documented >= set(inspect.signature(value).parameters)


@pytest.mark.parametrize("name", bigunet.__all__)
def test_what_is_public_takes_no_argument_without_a_type(name: str) -> None:
    value = getattr(bigunet, name)
    if inspect.isclass(value) and issubclass(value, Exception):
        return
    for parameter in inspect.signature(value).parameters.values():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert variadic or parameter.annotation is not parameter.empty


def test_the_packages_list_is_that_of_the_folders() -> None:
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in ("bigunet", "cli")
        for file in (ROOT / top).rglob("*.py")
    }
    packages = {
        name.replace("cli", "bigunet_cli", 1) if name[:3] == "cli" else name for name in folders
    }
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted(packages)
    assert all((ROOT / name.replace(".", "/") / "__init__.py").exists() for name in folders)


def test_every_module_says_what_it_owns() -> None:
    for file in (*(ROOT / "bigunet").rglob("*.py"), *(ROOT / "cli").rglob("*.py")):
        assert file.read_text().removeprefix("r").startswith('"""'), file


def test_the_version_is_the_projects() -> None:
    assert bigunet.__version__ == PROJECT["project"]["version"]


def test_every_error_is_bigunets_and_the_standard_librarys() -> None:
    classes = [
        e for e in vars(errors).values() if inspect.isclass(e) and e is not errors.BigUNetError
    ]
    assert classes
    for error in classes:
        assert issubclass(error, errors.BigUNetError)
        assert any(base.__module__ == "builtins" for base in error.__mro__[1:-3])
