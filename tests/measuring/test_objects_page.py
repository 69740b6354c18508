"""What the page of objects shows of libraries that bigunet does not need, where they are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from support.pages import ROOT, blocks_of
from support.stored_objects import objects, write_labelled

from bigunet.measuring.measure_files import measure_files

BLOCKS = {block.not_run: block for block in blocks_of(ROOT / "docs" / "objects.md")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", ["anndata", "napari", "ngio", "polars"])
def test_a_table_opens_in_other_libraries(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    labels = objects((30, 20))
    labels[0, 0] = 1
    write_labelled(tmp_path / "image.zarr", labels, np.ones((1, 30, 20)), "yx")
    measure_files("image.zarr", "cells")
    done = measure_files("image.zarr", "cells", table="cells.parquet")
    names: dict[str, Any] = {"cells": labels, "table": pandas.read_parquet("cells.parquet")}
    exec(BLOCKS[f"needs {library}"].text, names)
    if library == "napari":
        assert len(names["layer"].features) == done.num_objects
    elif library != "polars":
        assert len(names["cells" if library == "anndata" else "table"]) == done.num_objects
