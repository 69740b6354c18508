"""Help, usage errors and the package itself import nothing heavy; commands only what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"PIL", "bokeh", "dask", "distributed", "matplotlib", "ome_zarr", "openvino", "scipy",
         "tifffile", "torch", "yaml", "zarr"}  # fmt: skip

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
    """Packages that a program imports, and the line before the one that names them."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    *_, before, names = ["", *done.stderr.splitlines()]
    return {name.partition(".")[0] for name in names.split()}, before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["no-such"], 2),
        (["segment", "--help"], 0),
        (["segment", "--no-such"], 2),
        (["segment", "in.zarr", "--memory-limit"], 2),
        (["segment", "in.zarr", "--roi", "nonsense"], 1),
        (["train", "--help"], 0),
        (["train", "images"], 2),
        (["jobs", "slurm", "--help"], 0),
        (["evaluate", "--kind", "no-such"], 1),
    ],
)
def test_help_and_usage_errors_need_nothing_heavy(words: list[str], code: int) -> None:
    found, left = imported(_MAIN, *words)
    assert left == f"exit {code}"
    assert not found & HEAVY


def test_the_package_brings_each_name_when_it_is_used() -> None:
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
    found, _ = imported(program)
    assert {"distributed", "torch", "zarr"} <= found
    assert not found & {"PIL", "bokeh", "matplotlib", "ome_zarr", "openvino", "scipy", "tifffile"}


def test_arithmetic_on_integers_imports_nothing_heavy() -> None:
    modules = "bigunet.geometry, bigunet.blocks, bigunet.receptive, bigunet.tiling"
    found, _ = imported(f"import sys, {modules}; print(*sys.modules, file=sys.stderr)")
    assert not found & {*HEAVY, "numpy"}
