"""Segment a plate and count the nuclei of each well: python examples/05_plate.py [PLATE.zarr]

Without a plate, one of four wells with two fields each is made of the pictures that come with
bigunet. The command `bigunet segment plate.zarr --table nuclei.parquet` does the same.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import pandas
import zarr

import bigunet

WELLS = ("A/1", "A/2", "B/1", "B/2")
FIELDS = ("0", "1")


def write_plate(path: Path) -> None:
    """Write an OME-Zarr plate: its wells, their fields, and an image in each field."""
    wells = [
        {"path": well, "rowIndex": "AB".index(well[0]), "columnIndex": int(well[2]) - 1}
        for well in WELLS
    ]
    rows, columns = [{"name": name} for name in "AB"], [{"name": name} for name in "12"]
    plate = {"rows": rows, "columns": columns, "wells": wells, "version": "0.5"}
    root = zarr.open_group(path, mode="w", zarr_format=3)
    root.attrs["ome"] = {"version": "0.5", "plate": plate}
    pictures = sorted((files("bigunet.bundled") / "nuclei-fields").glob("*.png"))
    for well in WELLS:
        images = [{"path": field} for field in FIELDS]
        root.require_group(well).attrs["ome"] = {"version": "0.5", "well": {"images": images}}
        for field in FIELDS:
            bigunet.convert(pictures.pop(0), path / well / field)


def main() -> None:
    plate = Path(sys.argv[1] if len(sys.argv) > 1 else "plate.zarr")
    if not plate.exists():
        write_plate(plate)
    for field, result in bigunet.segment_fields(plate, table="nuclei.parquet"):
        failed = isinstance(result, bigunet.BigUNetError)
        print(field, result if failed else f"{result.objects.num_objects} nuclei")
    nuclei = pandas.read_parquet("nuclei.parquet")
    wells = nuclei.groupby("well")["area"]
    print(pandas.DataFrame({"nuclei": wells.size(), "median area": wells.median()}))


if __name__ == "__main__":
    main()
