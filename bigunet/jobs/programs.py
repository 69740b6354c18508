"""The programs that a script calls: those of this environment, or those of a container."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Programs:
    """How a script calls its programs, each in words of bash.

    Parameters
    ----------
    bigunet, dask, python : str
        For example ``apptainer exec x.sif bigunet``.
    """

    bigunet: str
    dask: str
    python: str


def find_programs(prefix: str) -> Programs:
    """The programs of this environment, by their paths.

    Parameters
    ----------
    prefix : str
        Words of bash that start a command in a container. If it is not empty, the programs are
        those of the container.
    """
    if prefix:
        return Programs(f"{prefix} bigunet", f"{prefix} dask", f"{prefix} python")
    return Programs(
        bigunet=_installed("bigunet", module="bigunet_cli.main"),
        dask=_installed("dask", module="dask"),
        python=shlex.quote(sys.executable),
    )


def _installed(name: str, *, module: str) -> str:
    path = Path(sys.executable).parent / name
    if path.is_file():
        return shlex.quote(str(path))
    return f"{shlex.quote(sys.executable)} -m {module}"
