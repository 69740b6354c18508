"""The fingerprint of a run: what it holds, and which runs it lets continue one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from bigunet import SegmentOptions, load_model
from bigunet.engine.ledger import Ledger
from bigunet.errors import ImageError, ResumeError
from bigunet.io.images.discovery import open_multiscale
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.normalisation import fix_normalisation
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.run.record import RunRecord
from bigunet.segmentation.run.record_files import ledger_path

# A ledger with other keys, or in another order, would not continue runs of earlier versions.
KEYS = """
image image_shape image_dtype axes model normalisation option:object_class option:object_threshold
option:border_class option:border_width option:smallest option:fill_holes option:connectivity
option:split option:split_radius option:link_planes option:link_time option:no_table option:halo
option:blend option:outputs
option:level option:channels option:axes option:slice_axis option:roi option:block_shape
option:tile_shape option:slab option:precision option:device option:backend option:convolution
option:ome_version option:tta option:skip_empty option:mask option:grey_range option:percentiles
option:grey_range_of option:nonfinite objects turns channels block_shape tile_shape
receptive_field bigunet torch openvino content
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "out.zarr"), "", "0.5")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(64, 60), chunks=(32,) * 2, dtype="u1"
    )
    array[:] = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None], (64, 60))
    return tmp_path / "in.zarr"


def record_of(place: Place, image: Path, model: Path, **options: object) -> RunRecord:
    plan = make_plan(open_multiscale(image), load_model(model), SegmentOptions(**options))
    return RunRecord.of(place, plan, fix_normalisation(plan)[0])


def test_the_ledger_keeps_the_keys_of_the_fingerprint_and_their_order(
    place: Place, image: Path, tiny_model: Path
) -> None:
    record_of(place, image, tiny_model).open("refuse").close()
    fingerprint = Ledger.run_of(ledger_path(place.folder))
    assert list(fingerprint) == [key.replace(":", " ") for key in KEYS.split()]
    assert fingerprint["image"] == str(image)
    assert list(fingerprint["content"]) == ["image"]


@pytest.mark.parametrize(
    ("options", "same"),
    [({}, True), ({"memory_limit": 10**10}, True), ({"outputs": ("probabilities",)}, False)],
)
def test_a_part_joins_a_run_with_the_same_options_except_the_memory_limit(
    place: Place, image: Path, tiny_model: Path, options: dict, same: bool
) -> None:
    assert record_of(place, image, tiny_model).join()
    assert record_of(place, image, tiny_model, **options).join() == same


def test_a_record_is_compared_with_the_image_as_it_was_when_the_fingerprint_was_taken(
    place: Place, image: Path, tiny_model: Path
) -> None:
    earlier = record_of(place, image, tiny_model)
    earlier.open("refuse").close()
    zarr.open_array(str(image))[0, 0] = 7
    earlier.open("resume").close()
    with pytest.raises(ResumeError, match=r"in\.zarr/c/0/0 changed since it was begun"):
        record_of(place, image, tiny_model).open("resume")


def test_an_image_that_changes_while_workers_are_started_is_refused_before_the_first_block(
    place: Place, image: Path, tiny_model: Path
) -> None:
    plan = make_plan(open_multiscale(image), load_model(tiny_model), SegmentOptions())
    record = RunRecord.of(place, plan, fix_normalisation(plan)[0])
    assert record.renewed(plan).fingerprint == record.fingerprint
    zarr.open_array(str(image))[0, 0] = 7
    with pytest.raises(ImageError, match=r"in\.zarr/c/0/0 changed after its grey range"):
        record.renewed(plan)
    assert not place.folder.exists()
