"""Arrays as files, and their evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

from bigunet.evaluation.evaluate import Evaluation, evaluate
from bigunet.evaluation.evaluate_options import EvaluateOptions

RNG = np.random.default_rng(7)


def noise(shape: tuple[int, ...], highest: int) -> np.ndarray:
    return RNG.integers(0, highest, shape).astype(np.uint8)


def compare(folder: Path, prediction: np.ndarray, truth: np.ndarray, **options: Any) -> Evaluation:
    """Evaluate arrays through TIFF files; three axes are z, y, x."""
    for name, voxels in (("prediction", prediction), ("truth", truth)):
        axes = {"axes": "TZYX"[-voxels.ndim :]}
        path = folder / f"{name}.tif"
        tifffile.imwrite(path, voxels, photometric="minisblack", metadata=axes)
    return evaluate(
        folder / "prediction.tif", folder / "truth.tif", options=EvaluateOptions(**options)
    )


def write_channels(path: Path, channels: np.ndarray) -> None:
    array = zarr.create_array(
        str(path), shape=channels.shape, dtype=channels.dtype, dimension_names=["c", "y", "x"]
    )
    array[...] = channels
