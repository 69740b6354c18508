"""The table of the objects of a run: one row an object, in ``tables/instances`` of the output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bigunet.measuring.described import Described, steps_of_frames
from bigunet.measuring.image_tables import write_image_tables
from bigunet.measuring.merging import merged_bands
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.table import table_bands
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.output_kinds import OUTPUT_KINDS
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.segment_plan import SegmentPlan

NAME = OUTPUT_KINDS["instances"].group.rpartition("/")[2]
"""Name of the table, which is that of the labels."""


def table_folder(place: Place) -> Path:
    """Folder of the table in an output."""
    return place.folder / "tables" / NAME


def table_file(place: Place) -> Path | None:
    """The file of the table, CSV or Parquet; None if it is not written."""
    files = [table_folder(place) / f"table{suffix}" for suffix in (".parquet", ".csv")]
    return next((path for path in files if path.is_file()), None)


def write_object_table(plan: SegmentPlan, place: Place, files: ObjectFiles) -> None:
    """Merge the sums of all blocks, and write the table into the output.

    Raises
    ------
    OutputError
        If a file cannot be read or written.
    """
    sums = merged_bands(_sums(files, plan.grid.num_blocks), scratch=files.folder)
    write_image_tables(
        table_bands(sums, _described(plan)),
        place.folder,
        NAME,
        labels=NAME,
        frame_sizes=steps_of_frames(plan.image, plan.level),
    )


def _described(plan: SegmentPlan) -> Described:
    rule = plan.objects
    assert rule is not None
    frames = plan.region.shape[: -rule.ndim]
    return Described(
        shape=plan.region.shape[-rule.ndim :],
        voxel_size_um=plan.voxel_size_um,
        frames=dict(zip(plan.image.volume_axes, frames)),
        class_name=plan.model.description.classes[rule.object_class].name,
    )


def _sums(files: ObjectFiles, num_blocks: int) -> Iterator[ObjectSums]:
    """Sums of all blocks, in C order."""
    return map(files.read_sums, range(num_blocks))
