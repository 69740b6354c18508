"""Compare bigunet's metrics of boundaries with the values of another implementation.

    python benchmarks/checks/metrics_oracle.py FOLDER

FOLDER holds ``expected.json``, the truth ``gt.tif`` and proposals ``NAME.tif``. In the JSON file,
``cases`` has the values by name, for each proposal and threshold. The TIFF files are stacks of
float32 from 0 to 1. The script exits with 1 if a metric differs by more than allowed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from bigunet.metrics.partitions import ForegroundScores, foreground_scores, rand_error
from bigunet.metrics.pixels import PixelCounts
from bigunet.metrics.warping import Warping, warping

SWEEP = [k / 10 for k in range(10)]
WARPING_SHARE = 0.25
# The definition of warpings leaves their order open, so these may differ more.
ALLOWED = {
    "pixel_error": 1e-5,
    "pixel_precision": 1e-5,
    "pixel_recall": 1e-5,
    "pixel_fscore": 1e-5,
    "rand_error": 1e-5,
    "vrand_thin_fscore": 1e-3,
    "vinfo_thin": 1e-3,
    "warping_error": 5e-5,
    "warping_error_splits_mergers": 5e-5,
    "vrand_thin_max_0.0_0.9_0.1": 1e-3,
    "vinfo_thin_max_0.0_0.9_0.1": 1e-3,
    "min_warping_splits_mergers_0.0_0.9_0.1_r20": 5e-5,
}


@dataclass(frozen=True)
class Difference:
    """A value of bigunet beside the expected value."""

    metric: str
    case: str
    value: float
    expected: float

    @property
    def size(self) -> float:
        return abs(self.value - self.expected)

    @property
    def used(self) -> float:
        """The difference as a share of the allowed difference; 1 is the limit."""
        allowed = ALLOWED[self.metric]
        if "warping" in self.metric:
            allowed = max(allowed, WARPING_SHARE * self.expected)
        return self.size / allowed


def at_threshold(proposal: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float]:
    """All values at one threshold; means over the slices."""
    foreground = proposal > threshold
    pixels = PixelCounts.of(foreground, truth)
    values = {
        "pixel_error": pixels.error,
        "pixel_precision": pixels.precision,
        "pixel_recall": pixels.recall,
        "pixel_fscore": pixels.dice,
        "rand_error": float(np.mean([rand_error(*pair) for pair in zip(foreground, truth)])),
    }
    return values | agreement(foreground, truth) | warped(proposal, truth, threshold)


def agreement(foreground: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    slices: list[ForegroundScores] = [foreground_scores(*pair) for pair in zip(foreground, truth)]
    return {
        "vrand_thin_fscore": float(np.mean([one.v_rand for one in slices])),
        "vinfo_thin": float(np.mean([one.v_info for one in slices])),
    }


def warped(proposal: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float]:
    total = Warping()
    for grey, true in zip(proposal, truth):
        total += warping(grey > threshold, true, certainty=np.abs(grey - threshold))
    return {
        "warping_error": total.error,
        "warping_error_splits_mergers": total.split_merge_error,
    }


def swept(proposal: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The best values over the thresholds of the challenge."""
    results = [
        agreement(proposal > threshold, truth) | warped(proposal, truth, threshold)
        for threshold in SWEEP
    ]
    return {
        "vrand_thin_max_0.0_0.9_0.1": max(one["vrand_thin_fscore"] for one in results),
        "vinfo_thin_max_0.0_0.9_0.1": max(one["vinfo_thin"] for one in results),
        "min_warping_splits_mergers_0.0_0.9_0.1_r20": min(
            one["warping_error_splits_mergers"] for one in results
        ),
    }


def differences(folder: Path) -> Iterator[Difference]:
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())["cases"]
    truth = tifffile.imread(folder / "gt.tif") > 0.5
    for name, thresholds in expected.items():
        proposal = tifffile.imread(folder / f"{name}.tif").astype(np.float64)
        for case, theirs in thresholds.items():
            ours = (
                at_threshold(proposal, truth, float(case.removeprefix("th_")))
                if case.startswith("th_")
                else swept(proposal, truth)
            )
            for metric, value in ours.items():
                if theirs.get(metric) is not None:
                    yield Difference(metric, f"{name} {case}", value, theirs[metric])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    results = list(differences(parser.parse_args().folder))
    print(f"{'metric':44}{'values':>6}  {'largest':>9}  {'of allowed':>10}  where")
    for metric in ALLOWED:
        own = [one for one in results if one.metric == metric]
        worst = max(own, key=lambda one: one.used)
        print(
            f"{metric:44}{len(own):6}  {max(one.size for one in own):9.1e}  {worst.used:10.1%}  "
            f"{worst.case}: {worst.value:.6f}, expected {worst.expected:.6f}"
        )
    sys.exit(int(any(one.used > 1 for one in results)))


if __name__ == "__main__":
    main()
