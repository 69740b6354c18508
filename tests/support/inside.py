"""What runs inside an image write, and what lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from support.stored import contents

OURS = ("labels/classes/", "labels/instances/", "tables/instances/", "tables/instances_ROI_table/")
LISTS = ("labels/zarr.json", "labels/.z", "tables/zarr.json", "tables/.z")
NO_OBJECTS: dict[str, Any] = {"object_class": "", "border_class": ""}
"""Options of a run that writes the classes alone."""


def beside(image: Path) -> dict[str, bytes]:
    """All bytes of the image, without those of the run and without the lists."""
    held = {str(p.relative_to(image)): p.read_bytes() for p in image.rglob("*") if p.is_file()}
    return {path: data for path, data in held.items() if not path.startswith((*OURS, *LISTS))}


def listed(image: Path) -> tuple[list[str], list[str]]:
    """Labels and tables that the image lists."""
    labels = zarr.open_group(image / "labels", mode="r").attrs.asdict()
    tables = zarr.open_group(image / "tables", mode="r").attrs.asdict()
    return labels.get("ome", labels)["labels"], tables["tables"]


def ids(store: Path, level: int = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(store / f"labels/instances/{level}"), mode="r")[:])


def without_address(image: Path) -> dict[str, bytes]:
    """The bytes of an image and its run; where the image is does not matter."""
    return {path: data.replace(str(image).encode(), b"") for path, data in contents(image).items()}


def listed_labels(image: Path) -> list[str]:
    return list(zarr.open_group(image / "labels", mode="r").attrs.asdict()["ome"]["labels"])
