"""Measuring stored images into a table on the disk; no number of objects is too large for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigunet.errors import OptionError, OutputError
from bigunet.io.output.table_group import MADE_BY_KEY, VERB_KEY, table_attributes, tables_of
from bigunet.measuring.blockwise import checked_block_shape, sums_of_blocks, usual_block_shape
from bigunet.measuring.files import check_suffix, write_table
from bigunet.measuring.grey_columns import Columns
from bigunet.measuring.image_tables import write_image_tables
from bigunet.measuring.measure import described_of
from bigunet.measuring.merging import merged_bands
from bigunet.measuring.size_counts import SizeCounts
from bigunet.measuring.stored_voxels import StoredVoxels, label_url
from bigunet.measuring.table import table_bands


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Parameters
    ----------
    num_objects : int
    median_size : float
        Of the objects; NaN if there are none.
    unit : str
        Of the size: ``µm²``, ``µm³`` or ``voxels``.
    table : str
        Path of the table.
    """

    num_objects: int
    median_size: float
    unit: str
    table: str


def measure_files(
    image: str | Path,
    labels: str | Path,
    *,
    table: str | Path | None = None,
    level: int = 0,
    voxel_size_um: float | Sequence[float] | None = None,
    class_name: str | None = None,
    block_shape: Sequence[int] | None = None,
) -> Measured:
    """Measure the objects of a stored label image, block by block, and write their table.

    Parameters
    ----------
    image : str or Path
        Image of the grey values.
    labels : str or Path
        Label image; or the name of one in ``labels/`` of the image.
    table : str or Path, optional
        Ends in ``.csv`` or ``.parquet``. By default the table is written into the OME-Zarr that the
        labels are in, ``tables/NAME`` for ``labels/NAME``.
    level : int, optional
        Level of the labels.
    voxel_size_um, class_name, block_shape : optional
        See :func:`bigunet.measure`.

    Raises
    ------
    BigUNetError
        One of its subclasses, for each problem that the caller can solve.
    """
    labels = label_url(labels, image)
    if table is not None:
        check_suffix(Path(table))
    stored = StoredVoxels.of(labels, image, level)
    described = described_of(stored, voxel_size_um, class_name)
    described.spacing(stored.ndim)
    where = None if table is not None else _image_around(labels)
    usual = usual_block_shape(stored.shape, stored.chunk)
    block = usual if block_shape is None else checked_block_shape(block_shape, stored.shape)
    bands = table_bands(merged_bands(sums_of_blocks(stored, block)), described)
    sizes = SizeCounts()
    counted = _counted(bands, sizes)
    if where is None:
        assert table is not None
        write_table(counted, table)
        path = str(table)
    else:
        folder, name = where
        write_image_tables(counted, folder, name, labels=name, frame_sizes=stored.frame_sizes)
        path = str(folder / "tables" / name)
    return _measured(sizes, described.voxel_size_um, path)


def _counted(bands: Iterator[Columns], sizes: SizeCounts) -> Iterator[Columns]:
    for band in bands:
        sizes.add(band["area"])
        yield band


def _measured(sizes: SizeCounts, voxel_size_um: Sequence[float] | None, path: str) -> Measured:
    number, median = sizes.num_objects, sizes.median()
    if voxel_size_um is None:
        return Measured(number, median, "voxels", path)
    unit = "µm²" if len(voxel_size_um) == 2 else "µm³"
    return Measured(number, median * float(np.prod(voxel_size_um)), unit, path)


def _check_free(image: Path, name: str) -> None:
    """Raise OutputError if a run wrote this table: it says more than the one of measure."""
    made_by = table_attributes(image, name).get(MADE_BY_KEY)
    if isinstance(made_by, dict) and made_by.get(VERB_KEY) == "segment":
        raise OutputError(
            f"{image / 'tables' / name} is the table that segment wrote, and stays; give "
            "--table FILE.csv or .parquet"
        )


def _image_around(labels: str | Path) -> tuple[Path, str]:
    """The OME-Zarr that labels are in, and their name."""
    folder = Path(labels).absolute()
    for path in itertools.islice((folder, *folder.parents), 2):
        if path.parent.name == "labels":
            tables_of(path.parent.parent)
            _check_free(path.parent.parent, path.name)
            return path.parent.parent, path.name
    raise OptionError(f"{labels} are not in labels/ of an image; give --table FILE.csv or .parquet")
