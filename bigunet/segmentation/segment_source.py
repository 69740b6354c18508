"""What `segment` reads: a stored image, or an array that is stored for the time of the run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bigunet.arrays.given_array import NAME, GivenArray
from bigunet.arrays.reach import check_reach
from bigunet.arrays.scratch_folder import speaking_of
from bigunet.arrays.stored_array import stored_array
from bigunet.arrays.voxel_sizes import VoxelSize
from bigunet.errors import OptionError
from bigunet.io.sources.array_source import Array
from bigunet.options.choices import Existing
from bigunet.segmentation.array_options import check_array_options
from bigunet.segmentation.plan.worker_choice import WorkerChoice
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport


@dataclass(frozen=True, slots=True)
class SegmentSource:
    """An image that workers can read.

    Parameters
    ----------
    image : str or Path
    options : SegmentOptions
        Those that hold for the stored image.
    called : str
        What the report calls the image; empty for its path.
    """

    image: str | Path
    options: SegmentOptions
    called: str = ""

    def shown(self, report: SegmentReport) -> SegmentReport:
        """The report with the name of the image, in the place of a temporary path."""
        if not self.called:
            return report
        image = replace(report.plan.image, url=self.called, name=self.called)
        return replace(report, plan=replace(report.plan, image=image))


@dataclass(frozen=True, slots=True)
class AboutArray:
    """What a caller says of an array, and of no stored image.

    Parameters
    ----------
    voxel_size_um : float, sequence of float, or mapping of str to float, optional
    scratch : path, optional
        Folder for the temporary copy of the array.
    """

    voxel_size_um: VoxelSize | None = None
    scratch: str | Path | None = None


@contextlib.contextmanager
def segment_source(
    source: str | Path | Array,
    target: str | Path | None,
    options: SegmentOptions,
    about: AboutArray,
    *,
    workers: WorkerChoice,
    existing: Existing,
    part: Part | str | None,
) -> Iterator[SegmentSource]:
    """Make what `segment` reads; the copy of an array is removed afterwards.

    Raises
    ------
    BigUNetError
        If the arguments fit neither a path nor an array, or an array cannot be stored.
    """
    if isinstance(source, (str, os.PathLike)):
        _check_nothing_said(about, source)
        yield SegmentSource(source, options)
        return
    with speaking_of({}):
        folder = _checked_target(target, existing, part)
        check_array_options(options)
        given = GivenArray.of(source, options.axes, about.voxel_size_um)
    # Workers that see the output see the copy beside it, too.
    scratch = folder if about.scratch is None else about.scratch
    check_reach(workers, scratch)
    with stored_array(given, scratch) as image:
        yield SegmentSource(image, replace(options, axes=""), NAME)


def _check_nothing_said(about: AboutArray, source: object) -> None:
    for name in ("voxel_size_um", "scratch"):
        if getattr(about, name) is not None:
            raise OptionError(f"{name} is for arrays, and {source} is a path: leave it out")


def _checked_target(target: str | Path | None, existing: Existing, part: Part | str | None) -> Path:
    """The folder that is there, and that the output of an array will be in."""
    if target is None:
        raise OptionError(
            "an array has no place for labels: give the path of an output, or use bigunet.predict, "
            "which returns arrays"
        )
    if part is not None or existing == "resume":
        asked = "part" if part is not None else 'existing="resume"'
        raise OptionError(
            f"{asked} needs an image that stays: write the array as a zarr, and give its path"
        )
    above = Path(target).expanduser().absolute().parents
    return next(folder for folder in above if folder.is_dir())
