"""Laws of labels inside an image: they have its levels, and the rest of the image stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import zarr
from distributed import Client
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import OptionError, OutputError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.output.pyramid import downsample_mode

OPTIONS = SegmentOptions(block_shape=(32, 32))
FLOOR = [(101, 67), (50, 33), (25, 33), (12, 16)]
CEIL = [(101, 67), (51, 34), (26, 34), (13, 17)]
STACK_CEIL = [(2, 5, 65, 50), (2, 3, 33, 25), (2, 2, 17, 13)]
STACK_FLOOR = [(5, 65, 50), (5, 32, 25), (2, 16, 12)]
# After level 0 they differ from what the shapes suggest: they must be copied, not computed.
STATED = [((0.3, 0.5), (1.7, -2.1)), ((0.61, 1.0), (1.8, -2.0)), ((1.19, 1.0), (2.0, -2.0))]


def write_parent(path: Path, shapes: list[tuple[int, ...]], version: str = "0.5") -> Path:
    """An image with these levels, another label, and transformations that no shape suggests."""
    names = "tzyx"[-len(shapes[0]) :]
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    encoding: dict[str, Any] = (
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        if version == "0.4"
        else {"dimension_names": list(names)}
    )
    datasets = []
    for k, shape in enumerate(shapes):
        array = group.create_array(f"{k}", shape=shape, chunks=shape, dtype="uint8", **encoding)
        array[...] = np.random.default_rng(k).integers(0, 256, shape).astype(np.uint8)
        scale, translation = STATED[min(k, 2)]
        lead = len(shape) - 2
        scales = {"type": "scale", "scale": [1.0] * lead + [scale[0] + k, scale[1]]}
        moved = {"type": "translation", "translation": [0.0] * lead + list(translation)}
        datasets.append({"path": f"{k}", "coordinateTransformations": [scales, moved]})
    axes = [{"name": a, "type": "time" if a == "t" else "space"} for a in names]
    image: dict[str, Any] = {"name": "image", "axes": axes, "datasets": datasets}
    if version == "0.4":
        group.attrs["multiscales"] = [image | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"multiscales": [image], "version": "0.5"}
    return path


def add_label(path: Path, name: str) -> None:
    """A label of another program, in the list of labels."""
    labels = zarr.open_group(path, mode="a").require_group("labels")
    content = {"labels": [name]}
    formatted = labels.metadata.zarr_format == 3
    labels.attrs.put({"ome": content | {"version": "0.5"}} if formatted else content)
    labels.create_group(name).create_array("0", shape=(3,), dtype="uint8")[:] = 7


def segment(image: Path, model: Path, client: Client, **more: Any) -> bigunet.SegmentReport:
    return bigunet.segment(image, model=model, client=client, **{"options": OPTIONS, **more})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def beside(image: Path) -> dict[str, bytes]:
    """All bytes of the image, without our label and the list of labels."""
    ours = ("labels/classes/", "labels/zarr.json", "labels/.z")
    return {path: held for path, held in contents(image).items() if not path.startswith(ours)}


def listed(image: Path) -> list[str]:
    attributes = zarr.open_group(image, path="labels", mode="r").attrs.asdict()
    return list(attributes.get("ome", attributes)["labels"])


def read(image: Path, level: int) -> np.ndarray:
    return np.asarray(zarr.open_group(image, mode="r")[f"labels/classes/{level}"])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shapes", [FLOOR, CEIL, STACK_CEIL, STACK_FLOOR])
def test_labels_have_the_levels_shapes_and_places_of_their_image(
    tmp_path: Path, tiny_model: Path, client: Client, shapes: list[tuple[int, ...]], version: str
) -> None:
    image = write_parent(tmp_path / "in.zarr", shapes, version)
    before = beside(image)
    segment(image, tiny_model, client)
    parent, label = open_multiscale(image), open_multiscale(image / "labels/classes")
    assert [level.shape for level in label.levels] == shapes
    assert (label.version, label.zarr_format) == (version, parent.zarr_format)
    assert label.axes == parent.axes
    for ours, theirs in zip(label.levels, parent.levels):
        assert (ours.scale, ours.translation) == (theirs.scale, theirs.translation)
    assert beside(image) == before


def list_small_levels_first(path: Path) -> Path:
    """The same image with its datasets listed in reverse order."""
    group = zarr.open_group(path, mode="a")
    stated: Any = group.attrs.asdict()["ome"]
    stated["multiscales"][0]["datasets"].reverse()
    group.attrs["ome"] = stated
    return path


def test_an_image_that_lists_small_levels_first_gets_the_same_labels(
    tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    usual = write_parent(tmp_path / "usual.zarr", FLOOR)
    odd = list_small_levels_first(write_parent(tmp_path / "odd.zarr", FLOOR))
    before = beside(odd)
    for image in (usual, odd):
        segment(image, tiny_model, client)
    assert beside(odd) == before
    label = open_multiscale(odd / "labels/classes")
    assert label.levels == open_multiscale(usual / "labels/classes").levels
    assert label.notes == ()
    for level in range(len(FLOOR)):
        np.testing.assert_array_equal(read(odd, level), read(usual, level))
    assert bigunet.verify(odd, model=tiny_model, windows=2).passed


@pytest.mark.parametrize("shapes", [FLOOR, CEIL, STACK_CEIL, STACK_FLOOR])
def test_level_0_is_that_of_an_output_and_coarser_ones_downsample_the_whole(
    tmp_path: Path, tiny_model: Path, client: Client, shapes: list[tuple[int, ...]]
) -> None:
    image = write_parent(tmp_path / "in.zarr", shapes)
    bigunet.segment(image, tmp_path / "out.zarr", model=tiny_model, client=client)
    segment(image, tiny_model, client)
    whole = np.asarray(zarr.open_group(tmp_path / "out.zarr", mode="r")["labels/classes/0"])
    assert len(np.unique(whole)) > 1
    np.testing.assert_array_equal(read(image, 0), whole)
    for k, shape in enumerate(shapes[1:], 1):
        factor = [1 if a == b else 2 for a, b in zip(whole.shape, shape)]
        cut = tuple(slice(0, n * f) for n, f in zip(shape, factor))
        whole = downsample_mode(whole[cut], factor)
        np.testing.assert_array_equal(read(image, k), whole)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_image_and_its_label_are_valid_and_readers_see_the_label(
    tmp_path: Path, tiny_model: Path, client: Client, version: str
) -> None:
    image = write_parent(tmp_path / "in.zarr", CEIL, version)
    segment(image, tiny_model, client)
    for path in ("", "labels", "labels/classes"):
        ome_zarr_models.open_ome_zarr(zarr.open_group(image, path=path, mode="r"))
    nodes = list(Reader(parse_url(image))())
    assert [node.zarr.basename() for node in nodes] == ["in.zarr", "labels", "classes"]
    attributes = zarr.open_group(image, path="labels/classes", mode="r").attrs.asdict()
    assert attributes.get("ome", attributes)["image-label"]["source"] == {"image": "../../"}
    assert attributes["bigunet"]["image"] == str(image)


def test_a_run_that_was_cut_off_is_not_listed_and_resumes_to_the_same_bytes(
    tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    image = write_parent(tmp_path / "in.zarr", FLOOR)
    add_label(image, "theirs")
    stopped_after = 4

    def stop(event: Any) -> None:
        nonlocal stopped_after
        stopped_after -= 1
        if not stopped_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(image, tiny_model, client, on_event=stop)
    assert listed(image) == ["theirs"]
    assert bigunet.info(image)["segmentation"]["finished"] is False
    with pytest.raises(OutputError, match="not a finished output"):
        bigunet.verify(image)
    with pytest.raises(OutputError, match="exists: give --resume"):
        segment(image, tiny_model, client)
    report = segment(image, tiny_model, client, existing="resume")
    assert 0 < report.blocks_done < report.plan.grid.num_blocks
    again = write_parent(tmp_path / "again" / "in.zarr", FLOOR)
    segment(again, tiny_model, client)
    for level in range(len(FLOOR)):
        np.testing.assert_array_equal(read(image, level), read(again, level))
    assert listed(image) == ["theirs", "classes"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_overwriting_leaves_other_labels_and_the_image_as_they_are(
    tmp_path: Path, tiny_model: Path, client: Client, version: str
) -> None:
    image = write_parent(tmp_path / "in.zarr", CEIL, version)
    add_label(image, "theirs")
    before = beside(image)
    segment(image, tiny_model, client)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (image / "labels/classes/9").symlink_to(outside)
    segment(image, tiny_model, client, existing="overwrite")
    assert beside(image) == before
    assert not (image / "labels/classes/9").exists()
    assert (outside / "kept").read_text() == "kept"
    assert listed(image) == ["theirs", "classes"]


def test_an_overwriting_that_is_cut_off_leaves_no_label_that_looks_whole(
    tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    image = write_parent(tmp_path / "in.zarr", CEIL)
    segment(image, tiny_model, client)
    whole = contents(image / "labels/classes")

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(image, tiny_model, client, existing="overwrite", on_event=stop)
    assert listed(image) == []
    ome_zarr_models.open_ome_zarr(zarr.open_group(image, mode="r"))
    segment(image, tiny_model, client, existing="resume")
    again = contents(image / "labels/classes")
    assert {k: v for k, v in again.items() if not k.startswith("bigunet/")} == {
        k: v for k, v in whole.items() if not k.startswith("bigunet/")
    }


@pytest.mark.parametrize("existing", ["refuse", "resume", "overwrite"])
def test_a_label_of_that_name_that_is_not_ours_is_refused(
    tmp_path: Path, tiny_model: Path, client: Client, existing: str
) -> None:
    image = write_parent(tmp_path / "in.zarr", CEIL)
    add_label(image, "classes")
    before = contents(image)
    with pytest.raises(OutputError, match=r"labels/classes exists"):
        segment(image, tiny_model, client, existing=existing)
    assert contents(image) == before


def test_a_label_folder_that_leads_elsewhere_is_refused(
    tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    image = write_parent(tmp_path / "in.zarr", CEIL)
    (image / "labels").mkdir()
    (image / "labels/classes").symlink_to(tmp_path)
    with pytest.raises(OptionError, match="is a link to elsewhere"):
        segment(image, tiny_model, client, existing="overwrite")


REFUSED = [
    (SegmentOptions(outputs=("classes", "probabilities")), "output classes, probabilities: "),
    (SegmentOptions(roi={"x": (0, 9)}), "roi x: "),
    (SegmentOptions(level=1), "level 1: "),
    (SegmentOptions(ome_version="0.4"), "ome version 0.4: .* is OME-Zarr 0.5"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_options_that_fit_no_label_of_the_whole_image_need_an_out(
    tmp_path: Path, tiny_model: Path, client: Client, options: SegmentOptions, message: str
) -> None:
    image = write_parent(tmp_path / "in.zarr", CEIL)
    before = contents(image)
    with pytest.raises(OptionError, match=f"{message}.*give an OUT"):
        segment(image, tiny_model, client, options=options)
    assert contents(image) == before


def test_other_factors_and_bare_arrays_need_an_out(
    tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    image = write_parent(tmp_path / "in.zarr", [(90, 60), (30, 20)])
    with pytest.raises(OptionError, match=r"\(30, 20\) follows one of \(90, 60\).*give an OUT"):
        segment(image, tiny_model, client)
    with pytest.raises(OptionError, match=r"a bare array.*give an OUT"):
        segment(image / "0", tiny_model, client)


def test_the_commands_know_labels_inside_an_image(
    bigunet: Any, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    image = write_parent(tmp_path / "in.zarr", FLOOR, "0.4")
    workers = ("--model", tiny_model, "--scheduler", client.scheduler.address)
    done = bigunet("segment", image, *workers, "--json", "--quiet")
    assert (done.code, done.json["output"]) == (0, str(image / "labels/classes"))
    assert done.json["levels"] == len(FLOOR)
    verified = bigunet("verify", image, "--windows", "2", "--json")
    assert (verified.code, verified.json["passed"]) == (0, True)
    described = bigunet("info", image, "--json").json
    assert described["kind"] == "image"
    assert described["segmentation"]["made"]["options"]["ome_version"] == "0.4"
    assert bigunet("info", image / "labels/classes", "--json").json["kind"] == "output"
    report = json.loads((image / "labels/classes/bigunet/report.json").read_text())
    assert report["output"] == done.json["output"]
