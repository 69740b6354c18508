"""The wheel: built, installed outside the clone, it runs the command with what it brings along."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    # From what git would give to a stranger, so that no file of this folder only gets in.
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_code_commands_model_fields_and_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "bigunet/py.typed",
        "bigunet/bundled/em-boundaries.safetensors",
        "bigunet/bundled/nuclei.safetensors",
        "bigunet/bundled/nuclei-fields/LICENCE.md",
        "bigunet/jobs/templates/slurm.sh.in",
        "bigunet_cli/main.py",
    ):
        assert wanted in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]


@pytest.mark.slow
def test_installed_elsewhere_it_runs_segment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    # Its dependencies are those of this environment: a path, so that no editable install counts.
    site = environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (site / "site-packages" / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(150, 130), chunks=(64, 64), dtype="uint8"
    )
    array[:] = np.random.default_rng(0).integers(0, 256, (150, 130))
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = subprocess.run(
        [str(python), "-c", "import bigunet, bigunet_cli; print(bigunet.__file__)"],
        cwd=tmp_path, env=clean, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert str(environment) in where
    subprocess.run(
        [str(environment / "bin" / "bigunet"), "segment", "in.zarr", "out.zarr", "--quiet"],
        cwd=tmp_path, env=clean, check=True,
    )  # fmt: skip
    assert zarr.open_array(str(tmp_path / "out.zarr/labels/classes/0")).shape == (150, 130)
