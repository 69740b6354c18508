"""Installing: a wheel brings all that it needs along, and an editable clone is found everywhere."""

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


def copy_clone(folder: Path) -> Path:
    """Copy what git would give to a stranger, so that files of this folder alone stay out."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def make_environment(folder: Path, *, with_pip: bool = False) -> Path:
    """Make an environment without bigunet; its dependencies are those of this one. Its Python."""
    venv.create(folder, with_pip=with_pip)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # A path, so that editable installs of this environment do not count.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    source = copy_clone(folder / "source")
    # A source distribution, and the wheel from that.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_code_commands_model_fields_and_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "bigunet/py.typed",
        "bigunet/bundled/em-boundaries.safetensors",
        "bigunet/bundled/nuclei.safetensors",
        "bigunet/bundled/nuclei-fields/LICENCE.md",
        "bigunet/jobs/templates/slurm.sh.in",
        "bigunet_cli/main.py",
    ):
        assert name in names
    folders = ("tests", "benchmarks", "examples", "docs", "tools")
    assert not [name for name in names if name.startswith(folders)]


@pytest.mark.slow
def test_python_in_the_folder_above_an_editable_clone_imports_the_package(tmp_path: Path) -> None:
    clone = copy_clone(tmp_path / "bigunet")
    python = make_environment(tmp_path / "venv")
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*install, "--no-deps", "--no-build-isolation", "--editable", str(clone)],
        env=clean, check=True,
    )  # fmt: skip
    show = "import bigunet, bigunet_cli; print(bigunet.__file__); print(bigunet_cli.__file__)"
    for folder in (tmp_path, clone, tmp_path / "venv"):
        shown = subprocess.run(
            [str(python), "-c", show], cwd=folder, env=clean, check=True, capture_output=True,
            text=True,
        ).stdout.splitlines()  # fmt: skip
        assert shown == [str(clone / "bigunet/__init__.py"), str(clone / "cli/__init__.py")]


@pytest.mark.slow
def test_installed_elsewhere_it_runs_segment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = make_environment(environment, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
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
