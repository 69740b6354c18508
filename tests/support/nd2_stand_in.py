"""A stand-in for the package nd2: no package writes ND2 files. It has what bigunet uses of nd2."""

from __future__ import annotations

import itertools
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np


def module_of(axes: str, voxels: np.ndarray, *, channels: tuple[str, ...]) -> ModuleType:
    """A module with a class ND2File, each file of which holds ``voxels``.

    ``axes`` has the letters of P, T, Z, C, Y, X, S, with the loops first, as nd2 has them.
    """
    sizes = {name: n for name, n in zip(axes, voxels.shape) if n != 1}
    loops = [name for name in axes if name in "PTZ"]
    ends = [voxels.shape[axes.index(name)] for name in loops]

    class ND2File:
        def __init__(self, path: str) -> None:
            self.sizes, self.dtype = sizes, voxels.dtype
            self.loop_indices = tuple(
                dict(zip(loops, place)) for place in itertools.product(*map(range, ends))
            )
            volume = SimpleNamespace(axesCalibrated=(True, True, True))
            self.metadata = SimpleNamespace(
                channels=[
                    SimpleNamespace(volume=volume, channel=SimpleNamespace(name=name))
                    for name in channels
                ]
            )
            period = SimpleNamespace(periodMs=2500.0)
            self.experiment = [SimpleNamespace(type="TimeLoop", parameters=period)]

        def __enter__(self) -> ND2File:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            pass

        def voxel_size(self) -> Any:
            return SimpleNamespace(x=0.5, y=0.5, z=2.0)

        def read_frame(self, number: int) -> np.ndarray:
            frames = voxels.reshape(-1, *voxels.shape[len(loops) :])
            return frames[number].squeeze()

    module = ModuleType("nd2")
    module.ND2File = ND2File  # type: ignore[attr-defined]
    return module
