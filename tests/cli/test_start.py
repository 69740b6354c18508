"""Help, completion and usage errors import nothing heavy; commands import what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"PIL", "bokeh", "dask", "distributed", "matplotlib", "numpy", "ome_zarr", "openvino",
         "scipy", "tifffile", "torch", "yaml", "zarr"}  # fmt: skip

_CHILDLESS = """
from multiprocessing.process import BaseProcess
def refuse(process):
    raise AssertionError("a process starts")
BaseProcess.start = refuse
"""

_MAIN = """
import sys
sys.argv = ["bigunet", *sys.argv[1:]]
from bigunet_cli.main import main
try:
    main()
except SystemExit as left:
    print("exit", left.code, file=sys.stderr)
print(*sys.modules, file=sys.stderr)
"""


def imported(program: str, *words: str) -> tuple[set[str], str]:
    """Packages that a program imports, and the line before the one that names its modules."""
    names, before = modules(program, *words)
    return {name.partition(".")[0] for name in names}, before


def modules(program: str, *words: str) -> tuple[set[str], str]:
    """Modules that a program imports, and the line before the one that names them."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    *_, before, names = ["", *done.stderr.splitlines()]
    return set(names.split()), before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["no-such"], 2),
        (["segment", "--help"], 0),
        (["segment"], 2),
        (["segment", "--no-such"], 2),
        (["segment", "in.zarr", "--memory-limit"], 2),
        (["segment", "in.zarr", "--memory-limit", "much"], 1),
        (["segment", "in.zarr", "--memory-limit", "8GB", "--part", "3/2"], 1),
        (["segment", "in.zarr", "--roi", "nonsense"], 1),
        (["segment", "in.zarr", "--roi", "x=5:5"], 1),
        (["segment", "in.zarr", "--resume", "--overwrite"], 1),
        (["segment", "in.zarr", "--workers", "0"], 1),
        (["plan", "in.zarr", "--level", "first"], 1),
        (["plan", "in.zarr", "--percentiles", "99:1"], 1),
        (["verify", "in.zarr", "--windows", "many"], 1),
        (["train", "--help"], 0),
        (["train", "images"], 2),
        (["train", "images", "--out", "m", "--learning-rate", "0"], 1),
        (["train", "images", "--out", "m", "--augment", "noise=loud"], 1),
        (["train", "images", "--out", "m", "--card", "no-such.json"], 1),
        (["evaluate", "--kind", "no-such"], 1),
        (["evaluate", "found", "truth", "--border-class", "edge"], 1),
        (["info", "--no-such"], 2),
        (["models", "more"], 2),
        (["jobs", "no-such"], 2),
        (["jobs", "slurm", "--help"], 0),
        (["jobs", "slurm", "in.zarr", "--within", "soon"], 1),
        (["jobs", "slurm", "in.zarr", "--jobs", "2", "--within", "2h"], 1),
        (["demo", "--cluster", "cloud"], 1),
        (["demo", "--queue", "gpu"], 1),
    ],
)
def test_help_and_usage_errors_need_nothing_heavy(words: list[str], code: int) -> None:
    packages, exit_line = imported(_MAIN, *words)
    assert exit_line == f"exit {code}"
    assert not packages & HEAVY


@pytest.mark.parametrize(
    ("line", "completion"),
    [
        ("bigunet seg", "plain,segment"),
        ("bigunet segment in.zarr --cl", "plain,--cluster"),
        ("bigunet segment --cluster cu", "plain,cuda"),
        ("bigunet evaluate --kind i", "plain,instances"),
        ("bigunet completion f", "plain,fish"),
        ("bigunet segment --model nu", "file,nu plain,nuclei"),
        ("bigunet train --from em", "file,em plain,em-boundaries"),
        ("bigunet segment in", "file,in"),
        ("bigunet info nu", "file,nu plain,nuclei"),
    ],
)
def test_a_shell_completes_words_and_imports_nothing_heavy(
    line: str, completion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_BIGUNET_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    done = subprocess.run(
        [sys.executable, "-c", _MAIN], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == completion.split()
    names = done.stderr.splitlines()[-1]
    assert "bigunet_cli" in names
    assert not {name.partition(".")[0] for name in names.split()} & HEAVY


def test_bash_completes_models_by_the_script_that_the_command_prints(
    bigunet: Any, tmp_path: Path
) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(bigunet("completion", "bash").out)
    done = subprocess.run(
        [
            *("bash", "--norc", "-c"),
            f"source {script}; COMP_WORDS=(bigunet plan --model nuc); COMP_CWORD=3; "
            '_bigunet_completion bigunet 2>/dev/null; echo "${COMPREPLY[*]}"',
        ],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "nuclei\n", done.stderr


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete"), ("zsh", "#compdef bigunet"), ("fish", "function")]
)
def test_each_shell_has_a_script(bigunet: Any, shell: str, word: str) -> None:
    assert word in bigunet("completion", shell).out
    assert "Invalid value for" in bigunet("completion", "csh").err


def test_the_package_imports_a_name_when_it_is_used() -> None:
    program = "import sys, bigunet; {}; print(*sys.modules, file=sys.stderr)"
    assert not imported(program.format("dir(bigunet)"))[0] & HEAVY
    assert (
        not imported(program.format("from bigunet import ClusterSpec, SegmentOptions"))[0] & HEAVY
    )
    assert not imported(program.format("from bigunet import Recipe, TrainOptions"))[0] & HEAVY
    assert "torch" in imported(program.format("bigunet.UNet"))[0]
    refused = subprocess.run(
        [sys.executable, "-c", "from bigunet import no_such"], capture_output=True, text=True
    )
    assert "cannot import name 'no_such' from 'bigunet'" in refused.stderr


def test_a_segmentation_imports_what_it_needs_and_no_more() -> None:
    program = "import sys, bigunet; bigunet.segment; print(*sys.modules, file=sys.stderr)"
    packages, _ = imported(program)
    assert {"distributed", "torch", "zarr"} <= packages
    assert not packages & {
        "PIL",
        "bokeh",
        "matplotlib",
        "ome_zarr",
        "openvino",
        "scipy",
        "tifffile",
    }


def test_a_small_image_is_segmented_without_processes_and_without_what_only_some_runs_need(
    tmp_path: Path, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    words = ("segment", str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr"), "--quiet")
    names, exit_line = modules(_CHILDLESS + _MAIN, *words, "--model", str(tiny_model))
    assert exit_line == "exit 0"
    assert {"distributed", "openvino", "torch"} <= names
    assert not names & {"bokeh", "scipy", "sympy", "tifffile", "torch.distributed.tensor"}


def test_a_description_of_an_image_needs_no_network(tmp_path: Path, write_image: Any) -> None:
    write_image(tmp_path / "in.zarr")
    packages, exit_line = imported(_MAIN, "info", str(tmp_path / "in.zarr"))
    assert exit_line == "exit 0"
    assert "zarr" in packages
    assert not packages & {"dask", "distributed", "torch"}


def test_arithmetic_on_integers_imports_nothing_heavy() -> None:
    modules = "bigunet.geometry, bigunet.blocks, bigunet.receptive, bigunet.tiling"
    packages, _ = imported(f"import sys, {modules}; print(*sys.modules, file=sys.stderr)")
    assert not packages & HEAVY
