"""The README and the pages of docs/: what they show runs, and what they name is there."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shutil
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import click
import distributed
import pytest
import yaml
from bigunet_cli.main import cli
from distributed import Client
from support.pages import PAGES, ROOT, CodeBlock, blocks_of, commands_of
from support.training_images import write_folders

import bigunet as package

OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TUTORIALS = ROOT / "docs" / "tutorials"
# Its blocks are run by tests/refusals, which writes the page.
WRITTEN_BY_TESTS = ROOT / "docs" / "refusals.md"
NOT_RUN = {
    "changes a shell": 1,
    "needs a batch system": 3,
    "needs anndata": 1,
    "needs a file of options": 1,
    "needs files of microscopes": 7,
    "needs napari": 1,
    "needs ngio": 1,
    "needs a plate": 1,
    "needs a volume and a time series": 1,
    "needs a volume of electron microscopy": 3,
    "needs polars": 1,
    "needs a window": 2,
    "needs docker": 2,
    "it serves a page until Ctrl-C": 3,
    "needs the internet": 7,
    "needs Windows": 1,
    "runs tests": 1,
    "needs models of other tools": 1,
}
# Options of other programs.
FOREIGN = {"--build-arg", "--gpus", "--plugin", "--rm", "--strict", "--user"}


def run_by_this_test(page: Path) -> bool:
    return page != WRITTEN_BY_TESTS and any(
        block.language in ("python", "console") and not block.not_run for block in blocks_of(page)
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, client: Client, write_image: Any) -> Path:
    """What the pages take for granted: images, labels, a prediction."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("image.zarr", "next.zarr"):
        write_image(
            folder / name, "cyx", version="0.5", shape=(1, 64, 60), metadata={"channels": ["DAPI"]}
        )
    write_image(folder / "truth.zarr", "yx", shape=(64, 60))
    package.segment(folder / "image.zarr", folder / "prediction.zarr", client=client)
    write_folders(folder)
    write_folders(folder / "held-out", count=2, shape=(256, 256))
    return folder


def marked(page: Path) -> Any:
    """Tutorials segment real images, many times."""
    return pytest.param(page, marks=[pytest.mark.slow] if page.parent == TUTORIALS else [])


@pytest.mark.parametrize(
    "page", [marked(page) for page in PAGES if run_by_this_test(page)], ids=lambda page: page.name
)
def test_the_blocks_of_a_page_run_in_their_order(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shelf: Path,
    client: Client,
    bigunet: Any,
) -> None:
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = None
    for block in blocks_of(page):
        if block.language == "text" and block.follows and printed is not None:
            assert printed == block.text
        printed = None
        if block.language == "python" and not block.not_run:
            printed = printed_by(block, names, client)
        elif block.language == "console" and not block.not_run:
            run_commands(block, bigunet)


def printed_by(block: CodeBlock, names: dict[str, Any], client: Client) -> str:
    """Run Python as the page has it; workers that it starts are the test's own."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        # Dask keeps the class that it sees first, and asks it for its clients.
        shared = {"__new__": lambda _: contextlib.nullcontext(client)}
        patch.setattr(distributed, "Client", type("Client", (Client,), shared))
        exec(block.text, names)
    return printed.getvalue()


def run_commands(block: CodeBlock, bigunet: Any) -> None:
    for command in commands_of(block):
        assert Path(command.words[0]).name == "bigunet", "say above the block why it is not run"
        outcome = bigunet(*command.words[1:])
        assert outcome.code == 0, (command.words, outcome.err)
        if command.printed_to:
            Path(command.printed_to).write_text(outcome.out)
            assert outcome.out


def test_each_block_is_run_or_says_why_not() -> None:
    blocks = [block for page in PAGES if page != WRITTEN_BY_TESTS for block in blocks_of(page)]
    assert {block.language for block in blocks} == {"python", "console", "text", "toml"}
    assert Counter(block.not_run for block in blocks if block.not_run) == NOT_RUN
    assert all(block.language != "text" for block in blocks if block.not_run or block.added)


def options_of(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    if command is cli:
        inner = [cli.get_command(click.Context(cli), name) for name in cli.list_commands(None)]
    own = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    return own.union(*(options_of(one) for one in inner)) | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_and_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    assert set(OPTION.findall(text)) <= options_of(cli) | FOREIGN
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_and_paths_of_code_that_a_page_names_are_there(page: Path) -> None:
    quoted = re.findall(r"`([^`\n]+)`", page.read_text())
    for path in quoted:
        if re.fullmatch(r"(bigunet|cli|tests|examples|benchmarks|tools|docs)/[\w./-]*", path):
            assert (ROOT / path).exists(), path
    for name in quoted:
        if re.fullmatch(r"bigunet(\.\w+)+", name):
            assert resolved(name) is not None, name


def resolved(name: str) -> Any:
    """What a dotted name leads to: the longest module of it, then attributes."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_each_step_of_the_path_of_a_block_links_to_the_file_of_its_function() -> None:
    path = ARCHITECTURE.read_text().split("## The path of one block")[1].split("\n## ")[0]
    steps = re.findall(r"^(\d+)\. \*\*[^*]+\*\* \[`([\w.]+)`\]\(\.\./([\w/]+\.py)\)", path, re.M)
    assert [int(number) for number, _, _ in steps] == list(range(1, 11))
    for _, name, file in steps:
        assert callable(resolved(name)), name
        assert resolved(name).__module__ == file.removesuffix(".py").replace("/", "."), name


def test_the_files_to_change_hold_the_names_that_the_how_tos_give() -> None:
    how_tos = ARCHITECTURE.read_text().split("## How-to's")[1]
    steps = re.findall(r"^\d\. `([\w/]+\.py)`:((?:.|\n(?! *\d\. |\n))*)", how_tos, re.M)
    named = [(file, name) for file, rest in steps for name in re.findall(r"`(\w+)`", rest)]
    assert len(named) >= 8
    for file, name in named:
        assert re.search(rf"^ *(def |class )?{name}\b", (ROOT / file).read_text(), re.M), (
            file,
            name,
        )


def test_the_layers_that_are_drawn_are_those_that_are_checked() -> None:
    drawing = next(b.text for b in blocks_of(ARCHITECTURE) if "bigunet_cli" in b.text)
    drawn = [re.split(r"\s{2,}", row.strip())[0] for row in drawing.splitlines()[2:]]
    assert drawn == PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]


def test_all_rooms_are_described() -> None:
    text = ARCHITECTURE.read_text()
    packages = PROJECT["tool"]["setuptools"]["packages"]
    rooms = {name.replace(".", "/") for name in packages if "." in name}
    assert {room for room in rooms if f"| `{room}/`" not in text} == set()


def test_the_reference_names_all_that_is_public() -> None:
    named = re.findall(r"^::: bigunet\.(\w+)$", (ROOT / "docs/api.md").read_text(), re.M)
    assert sorted(named) == package.__all__


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_the_citation_is_of_this_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == PROJECT["project"]["authors"]
    assert citation["message"]


def test_make_help_lists_every_target_that_people_call() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split())
    listed = re.findall(r"^## ([\w-]+): \S.*$", text, re.M)
    # What `compiled` makes is for the tests.
    assert sorted(listed) == sorted(phony - {"compiled"})
