"""A machine with GPUs, as far as dask-cuda can tell: processes over a stand-in for NVML."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Environment = Callable[..., dict[str, str]]
Ask = Callable[..., str]


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the compiled library."""
    if importlib.util.find_spec("dask_cuda") is None:
        pytest.skip("dask-cuda is not installed: it is for Linux alone")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed, which compiles the stand-in for NVML")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("fake_nvml.c")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return folder


@pytest.fixture(scope="session")
def with_gpus(stand_in: Path) -> Environment:
    """Environment of a process on a machine that has GPUs of these bytes of memory.

    ``visible`` is CUDA_VISIBLE_DEVICES.
    """

    def environment(gpus: str, *, visible: str | None = None) -> dict[str, str]:
        variables = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
        paths = [str(stand_in), variables.get("LD_LIBRARY_PATH", "")]
        variables |= {"FAKE_NVML_GPUS": gpus, "LD_LIBRARY_PATH": ":".join(filter(None, paths))}
        return variables if visible is None else variables | {"CUDA_VISIBLE_DEVICES": visible}

    return environment


@pytest.fixture(scope="session")
def ask() -> Ask:
    """What a script of Python prints in an environment; a library is loaded once per process."""

    def answer(script: str, environment: Mapping[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return answer
