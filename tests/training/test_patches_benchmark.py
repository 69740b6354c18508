"""The benchmark of the patch reader runs, untimed."""

from __future__ import annotations

import argparse
from pathlib import Path

from patches import measure
from support.training_images import write_folders


def test_the_benchmark_of_patches_measures_both_sides(tmp_path: Path) -> None:
    write_folders(tmp_path)
    given = argparse.Namespace(
        images=str(tmp_path / "images"),
        labels=str(tmp_path / "labels"),
        ndim=2,
        width=2,
        depth=1,
        patch=16,
        precision="fp32",
        processes=0,
        count=3,
        steps=1,
    )
    figures = measure(given)
    assert figures["drawn_per_second"] > 0  # type: ignore[operator]
    assert figures["trained_per_second"] > 0  # type: ignore[operator]
