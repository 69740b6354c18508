"""The table of the objects of a run: one row an object, in ``tables/instances`` of the output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bigunet.io.output.table_group import is_table_whole
from bigunet.measuring.described import Described, steps_of_frames
from bigunet.measuring.grey_columns import Columns
from bigunet.measuring.image_tables import write_image_tables
from bigunet.measuring.merging import merged_bands
from bigunet.measuring.size_counts import SizeCounts
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.table import table_bands
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_summary import ObjectSummary
from bigunet.segmentation.output_kinds import OBJECT_TABLE, OBJECT_TABLES, TABLES_FOLDER
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.segment_plan import SegmentPlan

_SUFFIXES = (".parquet", ".csv")


def table_file(place: Place) -> Path | None:
    """The file of the table of a run, CSV or Parquet; None if it is not written."""
    return table_file_in(place.store)


def table_file_in(store: str) -> Path | None:
    """The file of the table of the objects in an output, an image or a plate, if there is one."""
    folder = Path(store, TABLES_FOLDER, OBJECT_TABLE)
    files = [folder / f"table{suffix}" for suffix in _SUFFIXES]
    return next((path for path in files if path.is_file()), None)


def has_table(plan: SegmentPlan, place: Place) -> bool:
    """Whether the table of a run is there and listed, with its summary; or the run writes none."""
    if not plan.writes_table:
        return True
    summary = ObjectSummary.read(ObjectFiles.of(place).summary)
    if summary is None or summary.median_voxels is None:
        return False
    whole = summary.table_bytes == _table_bytes(place.store)
    return whole and table_file(place) is not None and is_table_whole(place.store, OBJECT_TABLE)


def _table_bytes(store: str) -> tuple[int, ...]:
    """Sizes of the files of the table and of its boxes; 0 for a missing one."""
    tables = [[Path(store, group, f"table{end}") for end in _SUFFIXES] for group in OBJECT_TABLES]
    return tuple(sum(p.stat().st_size for p in paths if p.is_file()) for paths in tables)


def write_object_table(plan: SegmentPlan, place: Place, files: ObjectFiles) -> None:
    """Merge the sums of all blocks, write the table into the output, and sum up the sizes.

    Raises
    ------
    OutputError
        If a file cannot be read or written.
    """
    sums = merged_bands(_sums(files, plan.grid.num_blocks), scratch=files.folder)
    sizes = SizeCounts()

    def counted() -> Iterator[Columns]:
        for band in table_bands(sums, _described(plan)):
            sizes.add(band["area"])
            yield band

    write_image_tables(
        counted(),
        place.store,
        OBJECT_TABLE,
        labels=OBJECT_TABLE,
        frame_sizes=steps_of_frames(plan.image, plan.level),
        axes=plan.object_axes,
        verb="segment",
        is_unique=plan.options.link_time is None,
    )
    summary = ObjectSummary.read(files.summary)
    assert summary is not None, "the objects were numbered before they were measured"
    measured = replace(summary.measured(sizes), table_bytes=_table_bytes(place.store))
    measured.write(files.summary)


def _described(plan: SegmentPlan) -> Described:
    rule = plan.objects
    assert rule is not None
    ndim = len(plan.object_axes)
    sizes = [plan.region.shape[axis] for axis in plan.measuring_order]
    return Described(
        shape=sizes[-ndim:],
        voxel_size_um=plan.voxel_size_um,
        frames=dict(zip(plan.image.volume_axes, sizes[:-ndim])),
        class_name=plan.model.description.classes[rule.object_class].name,
    )


def _sums(files: ObjectFiles, num_blocks: int) -> Iterator[ObjectSums]:
    """Sums of all blocks, in C order."""
    return (files.sums.read(number, ObjectSums.from_bytes) for number in range(num_blocks))
