"""The objects of a whole output in a few numbers, in a file that stays beside the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import OutputError
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.measuring.size_counts import SizeCounts
from bigunet.objects.numbering import id_type


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """Number and sizes of the objects of an output.

    Parameters
    ----------
    num_objects : int
        Objects that have an id.
    num_small : int
        Objects that were left out because they are too small.
    median_voxels : float, optional
        Median of their sizes in the table, in voxels; None if they were not measured, and 0 without
        objects.
    sizes : tuple of int
        Histogram of these sizes: entry k counts the rows of 2**k to 2**(k + 1) - 1 voxels. The
        table has a row for each object, or for each of its time points if these are linked.
    table_bytes : tuple of int
        Sizes of the files of the table and of its boxes, in bytes; 0 for a missing one.
    """

    num_objects: int
    num_small: int
    median_voxels: float | None = None
    sizes: tuple[int, ...] = ()
    table_bytes: tuple[int, ...] = ()

    def measured(self, sizes: SizeCounts) -> ObjectSummary:
        """The numbers with the sizes of all objects, in voxels."""
        if not sizes.num_objects:
            return replace(self, median_voxels=0.0, sizes=())
        # frexp is exact, where the logarithm of a number near a power of two may be rounded.
        exponents = np.frexp(sizes.sizes.astype(np.float64))[1] - 1
        histogram = np.zeros(int(exponents.max()) + 1, np.int64)
        np.add.at(histogram, exponents, sizes.counts)
        return replace(self, median_voxels=sizes.median(), sizes=tuple(histogram.tolist()))

    @property
    def id_type(self) -> str:
        """The type of the ids, in the words of numpy."""
        return id_type(self.num_objects).name

    def write(self, path: Path) -> None:
        """Write the numbers as JSON.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        with writing(str(path)), replacing(path) as partial:
            partial.write_text(json.dumps(asdict(self)) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> ObjectSummary | None:
        """The numbers that :meth:`write` wrote; None if the file is missing or damaged.

        Raises
        ------
        OutputError
            If the file is there and cannot be read.
        """
        try:
            return _summary(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError, KeyError, TypeError):
            return None


def _summary(data: dict[str, Any]) -> ObjectSummary:
    median = data["median_voxels"]
    return ObjectSummary(
        int(data["num_objects"]),
        int(data["num_small"]),
        None if median is None else float(median),
        tuple(map(int, data["sizes"])),
        tuple(map(int, data["table_bytes"])),
    )
