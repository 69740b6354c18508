"""Recipes of hosted checks, containers and conda say what pyproject.toml and the Makefile say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = TOML["project"]
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
DOCKERFILE = (ROOT / "containers/Dockerfile").read_text("utf-8")


def test_hosted_checks_cover_three_systems_and_each_python_that_the_project_names() -> None:
    matrix = WORKFLOW["jobs"]["systems"]["strategy"]["matrix"]
    assert {re.split("-", one)[0] for one in matrix["system"]} == {"ubuntu", "macos", "windows"}
    lowest, highest = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert matrix["python"] == [f"3.{n}" for n in range(int(lowest), int(highest))]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in WORKFLOW["jobs"].values())


def test_each_action_is_pinned_by_its_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one) for one in used)
    lines = (ROOT / ".github/workflows/ci.yml").read_text("utf-8").splitlines()
    assert all(re.search(r"# v\d+\.\d+\.\d+$", line) for line in lines if "uses:" in line)
    assert len(set(used)) == len({one.partition("@")[0] for one in used})


def test_each_command_of_the_hosted_checks_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    commands = " && ".join(step["run"] for step in STEPS if "run" in step)
    assert set(re.findall(r"make ([a-z-]+)", commands)) == {
        "test",
        "test-clusters",
        "types",
        "docs",
    }
    assert {"test", "test-clusters", "types", "docs"} <= targets
    for file in re.findall(r"-f (\S+)", commands):
        assert (ROOT / file).is_file()
    for extra in re.findall(r"\.\[(\w+)\]", commands):
        assert extra in PROJECT["optional-dependencies"]


def test_the_container_has_what_the_project_needs_and_no_root() -> None:
    extras = re.findall(r'ARG C\w+_EXTRAS="([\w,]+)"', DOCKERFILE)
    assert len(extras) == 2
    known = PROJECT["optional-dependencies"]
    assert all(one in known for line in extras for one in line.split(","))
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^(?:USER|ENTRYPOINT) .*$", last, re.M) == [
        "USER bigunet",
        'ENTRYPOINT ["bigunet"]',
    ]
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists()
    # What setuptools reads of pyproject.toml is copied into the image.
    for name in (PROJECT["readme"], *PROJECT["license-files"], "bigunet", "cli", "tools"):
        assert f"!{name}\n" in (ROOT / ".dockerignore").read_text("utf-8")
    definition = (ROOT / "containers/bigunet.def").read_text("utf-8")
    assert "Bootstrap: docker-archive" in definition
    assert 'exec bigunet "$@"' in definition


def conda_recipe() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text("utf-8")))


# Packages that conda-forge has under another name than PyPI.
OF_CONDA = {"dask": "dask-core", "matplotlib": "matplotlib-base", "torch": "pytorch"}


def test_the_conda_recipe_needs_what_the_project_needs() -> None:
    recipe = conda_recipe()
    expected = {"python"}
    bounds = {}
    for one in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(>=[\w.]+)", one).groups()  # type: ignore[union-attr]
        expected.add(OF_CONDA.get(name, name))
        bounds[OF_CONDA.get(name, name)] = bound
    run = {line.split()[0]: line.partition(" ")[2] for line in recipe["requirements"]["run"]}
    assert run.keys() == expected
    assert {name: bound for name, bound in run.items() if name != "python"} == bounds
    assert run["python"] == PROJECT["requires-python"]
    assert recipe["context"]["version"] == PROJECT["version"]
    assert recipe["about"]["license"] == PROJECT["license"]
    (build,) = TOML["build-system"]["requires"]
    assert build.replace(">=", " >=") in recipe["requirements"]["host"]


@pytest.mark.parametrize("word", ["entry_points", "bigunet = bigunet_cli.main:main"])
def test_the_conda_recipe_makes_the_command(word: str) -> None:
    assert word in (ROOT / "packaging/conda/recipe.yaml").read_text("utf-8")
    assert PROJECT["scripts"] == {"bigunet": "bigunet_cli.main:main"}
