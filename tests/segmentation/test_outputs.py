"""Laws of the outputs of `segment`: axes, scales and units of the input, in files readers open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ngff_zarr
import numpy as np
import ome_zarr_models
import pytest
import zarr
from distributed import Client
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import v04, v05
from support.whole_pass import whole_scores, wrong_labels

from bigunet import SegmentOptions, load_model, segment
from bigunet.io.output.pyramid import downsample_mean, downsample_mode
from bigunet.options.choices import OmeVersion, Output

SCALES = {"t": 2.5, "c": 1.0, "z": 0.9, "y": 0.3, "x": 0.25}
TRANSLATIONS = {"t": 3.0, "c": 0.0, "z": -4.0, "y": 10.5, "x": 0.7}
OUTER_SCALES = {"t": 2.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 3.0}
OUTER_TRANSLATIONS = {"t": 1.0, "c": 0.0, "z": 8.0, "y": -2.0, "x": 100.0}
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
CHUNKS = {"t": 1, "c": 1, "z": 8, "y": 32, "x": 32}
VERSIONS: dict[str, Any] = {"0.4": v04, "0.5": v05}
BOTH: tuple[Output, ...] = ("classes", "probabilities")


@dataclass(frozen=True)
class Case:
    """An input, the options of its run, and the scale and translation of its level 0."""

    axes: str
    version: str = "0.4"
    output_version: OmeVersion = "0.5"
    outer: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label_axes(self) -> str:
        return self.axes.replace("c", "")

    @property
    def score_axes(self) -> str:
        """Axes of the labels, with the channel after time."""
        at = self.label_axes.startswith("t")
        return self.label_axes[:at] + "c" + self.label_axes[at:]

    def scale(self, axis: str) -> float:
        return SCALES[axis] * (OUTER_SCALES[axis] if self.outer else 1)

    def translation(self, axis: str) -> float:
        first: int = self.options.get("roi", {}).get(axis, (0, 0))[0]
        at = TRANSLATIONS[axis]
        if self.outer:
            at = at * OUTER_SCALES[axis] + OUTER_TRANSLATIONS[axis]
        return at + self.scale(axis) * first

    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "scale": [SCALES[a] for a in self.axes],
            "translation": [TRANSLATIONS[a] for a in self.axes],
            "channels": ["DAPI", "GFP"] if "c" in self.axes else [],
        }
        if self.outer:
            metadata["outer"] = [
                {"type": "scale", "scale": [OUTER_SCALES[a] for a in self.axes]},
                {"type": "translation", "translation": [OUTER_TRANSLATIONS[a] for a in self.axes]},
            ]
        return metadata


CASES = [
    Case("yx"),
    Case("yx", "0.5", "0.4"),
    Case("yx", outer=True),
    Case("yx", options={"roi": {"y": (13, 80), "x": (20, 70)}}),
    Case("yx", outer=True, options={"roi": {"x": (7, 40)}}),
    Case("xy", "0.5"),
    Case("xy", "0.4", "0.4", options={"roi": {"x": (7, 40)}}),
    Case("zyx", "0.5"),
    Case("zyx", "0.4", "0.4", outer=True, options={"roi": {"z": (3, 9)}}),
    Case("tyx", "0.5", "0.4"),
    Case("cyx", "0.4", options={"channels": (1,)}),
    Case("cyx", "0.5", options={"channels": ("GFP",)}),
    Case("tzyx", "0.4", options={"roi": {"t": (1, 2), "z": (0, 5)}}),
    Case("tczyx", "0.5", "0.4", options={"channels": ("1",), "roi": {"z": (0, 4)}}),
    Case("tczyx", "0.4", outer=True, options={"channels": ("DAPI",), "roi": {"z": (2, 5)}}),
]


def name_of(case: Case) -> str:
    changed = [*case.options, *["outer"] * case.outer]
    return "-".join([case.axes, case.version, case.output_version, *changed])


@dataclass(frozen=True)
class Written:
    case: Case
    image: np.ndarray
    output: Path

    def level(self, group: str, number: int = 0) -> np.ndarray:
        return np.asarray(zarr.open_group(self.output, mode="r")[f"{group}/{number}"])

    def canonical(self, stored: np.ndarray, axes: str) -> np.ndarray:
        return stored.transpose([axes.index(a) for a in sorted(axes, key="ctzyx".index)])


@pytest.fixture(scope="module", params=CASES, ids=name_of)
def written(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    client: Client,
    tiny_model: Path,
    write_image: Any,
) -> Written:
    """Blocks of (48, 32): each image has several, and a pyramid with different shards."""
    case: Case = request.param
    folder = tmp_path_factory.mktemp("outputs")
    image = write_image(
        folder / "in.zarr",
        case.axes,
        version=case.version,
        chunks=tuple(CHUNKS[a] for a in case.axes),
        metadata=case.metadata(),
    )
    options = SegmentOptions(
        outputs=BOTH, block_shape=(48, 32), ome_version=case.output_version, **case.options
    )
    segment(
        folder / "in.zarr", folder / "out.zarr", model=tiny_model, options=options, client=client
    )
    return Written(case, image, folder / "out.zarr")


def multiscale_at(output: Path, group: str) -> dict[str, Any]:
    attributes: dict[str, Any] = zarr.open_group(output, path=group, mode="r").attrs.asdict()
    return dict(attributes.get("ome", attributes)["multiscales"][0])


@pytest.mark.parametrize("group", ["", "labels/classes", "probabilities"])
def test_axes_units_scale_and_translation_are_the_inputs(written: Written, group: str) -> None:
    case = written.case
    axes = case.score_axes if group == "probabilities" else case.label_axes
    multiscale = multiscale_at(written.output, group)
    assert [axis["name"] for axis in multiscale["axes"]] == list(axes)
    assert [axis.get("unit") for axis in multiscale["axes"]] == [UNITS.get(a) for a in axes]
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    channel = {"c": (1.0, 0.0)}
    expected = [channel.get(a, (case.scale(a), case.translation(a))) for a in axes]
    assert scale["scale"] == pytest.approx([s for s, _ in expected], rel=1e-12)
    assert translation["translation"] == pytest.approx([t for _, t in expected], rel=1e-12)
    assert "coordinateTransformations" not in multiscale


def test_the_shape_is_the_regions(written: Written) -> None:
    case = written.case
    whole = dict(zip(case.axes, written.image.shape))
    roi = case.options.get("roi", {})
    expected = tuple(roi[a][1] - roi[a][0] if a in roi else whole[a] for a in case.label_axes)
    assert written.level("labels/classes").shape == expected
    assert written.level("labels/classes").dtype == np.uint8


def test_readers_and_validators_open_every_output(written: Written) -> None:
    models = VERSIONS[written.case.output_version]
    root = zarr.open_group(written.output, mode="r")
    assert type(ome_zarr_models.open_ome_zarr(root)).__name__ == "Image"
    models.Image.from_zarr(root["probabilities"])
    models.ImageLabel.from_zarr(root["labels/classes"])
    models.Labels.from_zarr(root["labels"])
    for group in ("", "labels/classes", "probabilities"):
        place = str(written.output / group)
        stored = written.level(group or "labels/classes")
        node = next(iter(Reader(parse_url(place))()))
        np.testing.assert_array_equal(node.data[0].compute(scheduler="threads"), stored)
        image = ngff_zarr.from_ngff_zarr(place).images[0]
        np.testing.assert_array_equal(image.data.compute(scheduler="threads"), stored)
        for axis in set(image.dims) - {"c"}:
            assert image.scale[axis] == pytest.approx(written.case.scale(axis))
            assert image.translation[axis] == pytest.approx(written.case.translation(axis))


def test_probabilities_sum_to_255_and_agree_with_the_classes(written: Written) -> None:
    case = written.case
    scores = written.canonical(written.level("probabilities"), case.score_axes).astype(int)
    labels = written.canonical(written.level("labels/classes"), case.label_axes)
    assert scores.shape == (3, *labels.shape)
    assert np.abs(scores.sum(axis=0) - 255).max() <= 1
    best = np.sort(scores, axis=0)
    firm = best[-1] > best[-2]
    assert firm.mean() > 0.8
    np.testing.assert_array_equal(scores.argmax(axis=0)[firm], labels[firm])
    assert (np.bincount(labels.ravel(), minlength=3) > 0).all()


def test_labels_are_those_of_one_pass_over_each_whole_plane(
    written: Written, tiny_model: Path
) -> None:
    case, model = written.case, load_model(tiny_model)
    image = written.canonical(written.image, case.axes)
    if "c" in case.axes:
        image = image[0 if case.options["channels"] == ("DAPI",) else 1]
    names = sorted(case.label_axes, key="tzyx".index)
    roi = case.options.get("roi", {})
    part = tuple(slice(*roi[a]) if a in roi else slice(None) for a in names)
    labels = written.canonical(written.level("labels/classes"), case.label_axes)
    planes = image[part[:-2]].reshape(-1, *image.shape[-2:])
    for plane, plane_labels in zip(planes, labels.reshape(-1, *labels.shape[-2:]), strict=True):
        scores = whole_scores(model, plane[None], 0, 255)[(slice(None), *part[-2:])]
        assert wrong_labels(plane_labels, scores) == 0


@pytest.fixture(scope="module", params=["yx", "xy", "tyx"])
def pyramid(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    client: Client,
    tiny_model: Path,
    write_image: Any,
) -> Written:
    """An output of 1100 by 600 voxels: three levels in two groups, so that a second stage runs."""
    case = Case(request.param, "0.5")
    folder = tmp_path_factory.mktemp("pyramid")
    extents = {"t": 2, "y": 600, "x": 1100}
    image = write_image(
        folder / "in.zarr",
        case.axes,
        version="0.5",
        shape=tuple(extents[a] for a in case.axes),
        metadata=case.metadata(),
    )
    options = SegmentOptions(outputs=BOTH, block_shape=(250, 162))
    segment(
        folder / "in.zarr", folder / "out.zarr", model=tiny_model, options=options, client=client
    )
    return Written(case, image, folder / "out.zarr")


@pytest.mark.parametrize(
    ("group", "downsample"),
    [("labels/classes", downsample_mode), ("probabilities", downsample_mean)],
)
def test_each_level_equals_downsampling_the_whole_level_before(
    pyramid: Written, group: str, downsample: Any
) -> None:
    case = pyramid.case
    axes = case.label_axes if group == "labels/classes" else case.score_axes
    factor = tuple(2 if a in "yx" else 1 for a in axes)
    datasets = multiscale_at(pyramid.output, group)["datasets"]
    assert len(datasets) == 3
    canonical = sorted(axes, key="ctzyx".index)
    for number in range(1, 3):
        before = pyramid.canonical(pyramid.level(group, number - 1), axes)
        expected = downsample(before, tuple(factor[axes.index(a)] for a in canonical))
        level = pyramid.canonical(pyramid.level(group, number), axes)
        np.testing.assert_array_equal(level, expected, strict=True)


def test_levels_stay_in_place(pyramid: Written) -> None:
    """Voxel 0 of level k has the centre of the 2**k voxels that it was made from."""
    axes = pyramid.case.label_axes
    datasets = multiscale_at(pyramid.output, "labels/classes")["datasets"]
    for number, dataset in enumerate(datasets):
        scale, translation = dataset["coordinateTransformations"]
        for axis, s, t in zip(axes, scale["scale"], translation["translation"], strict=True):
            factor = 2**number if axis in "yx" else 1
            assert s == pytest.approx(SCALES[axis] * factor)
            assert t == pytest.approx(TRANSLATIONS[axis] + SCALES[axis] * (factor - 1) / 2)


@pytest.mark.parametrize("roi", [{}, {"x": (10, 33)}])
def test_a_later_level_has_its_own_scale_and_place(
    tmp_path: Path, client: Client, tiny_model: Path, pyramid: Written, roi: dict[str, Any]
) -> None:
    """Probabilities are an image with several levels and channels, which can be segmented again."""
    source, case = pyramid.output / "probabilities", pyramid.case
    options = SegmentOptions(level=2, channels=("class 1",), roi=roi)
    segment(source, tmp_path / "out.zarr", model=tiny_model, options=options, client=client)
    multiscale = multiscale_at(tmp_path / "out.zarr", "")
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    for axis, s, t in zip(case.label_axes, scale["scale"], translation["translation"], strict=True):
        factor = 4 if axis in "yx" else 1
        first = roi.get(axis, (0, 0))[0]
        assert s == pytest.approx(SCALES[axis] * factor)
        centre = TRANSLATIONS[axis] + SCALES[axis] * (factor - 1) / 2
        assert t == pytest.approx(centre + s * first)


def test_probabilities_alone_are_shown_at_the_root(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr", "yx")
    options = SegmentOptions(outputs=("probabilities",))
    target = tmp_path / "out.zarr"
    segment(tmp_path / "in.zarr", target, model=tiny_model, options=options, client=client)
    root = zarr.open_group(target, mode="r")
    assert "labels" not in root
    v05.Image.from_zarr(root)
    attributes: dict[str, Any] = root.attrs.asdict()
    channels = attributes["ome"]["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["background", "class 1", "class 2"]


def test_the_given_client_need_not_be_the_default_one(
    tmp_path: Path,
    client: Client,
    tiny_model: Path,
    write_image: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_default() -> Client:
        raise ValueError("the default client was asked for")

    monkeypatch.setattr("distributed.client.default_client", no_default)
    write_image(tmp_path / "in.zarr")
    target = tmp_path / "out.zarr"
    assert segment(tmp_path / "in.zarr", target, model=tiny_model, client=client).blocks_done == 1


def test_a_3d_network_segments_each_time_point(
    tmp_path: Path, client: Client, write_model: Any, write_image: Any
) -> None:
    model = write_model(tmp_path / "deep.safetensors", ndim=3, depth=1)
    image = write_image(tmp_path / "in.zarr", "tzyx", shape=(2, 12, 30, 26))
    options = SegmentOptions(block_shape=(8, 16, 16))
    segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=model, options=options, client=client
    )
    labels = np.asarray(zarr.open_group(tmp_path / "out.zarr", mode="r")["labels/classes/0"])
    for volume, volume_labels in zip(image, labels, strict=True):
        scores = whole_scores(load_model(model), volume[None], 0, 255)
        assert wrong_labels(volume_labels, scores) == 0
