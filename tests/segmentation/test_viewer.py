"""How napari shows an output that is opened with its own reader, by the values of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client

import bigunet
from bigunet import SegmentOptions
from bigunet.demo import write_image as write_demo_image

# Napari calls a function that pydantic will remove.
pytestmark = pytest.mark.filterwarnings("ignore")
VERSIONS = ["0.4", "0.5"]
PLACE = {"scale": [2.0, 0.5, 0.25], "translation": [0.0, 0.0, 0.0]}
CLASSES = ["background", "class 1", "class 2"]
# The palette of models that give their classes no colours.
COLORS = np.array([[0, 0, 0], [0xE6, 0xA0, 0x19], [0x2A, 0x7F, 0xD4]]) / 255


@pytest.fixture
def napari_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function from a path to the layers that napari shows when it opens this path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    from napari.components import ViewerModel
    from napari.utils import resize_dask_cache
    from napari_ome_zarr import napari_get_reader

    # Otherwise it would stay for later tests in this process.
    resize_dask_cache(0)

    def opened(path: Path) -> list[Any]:
        viewer = ViewerModel()
        for data, metadata, kind in napari_get_reader(str(path))(str(path)):
            add = viewer.add_labels if kind == "labels" else viewer.add_image
            add(data, **metadata)
        return list(viewer.layers)

    return opened


def drawn(layer: Any) -> np.ndarray:
    """Red, green, blue, opacity of each voxel of a layer of level 0."""
    values = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if layer._type_string == "labels":
        colors = np.asarray(layer.colormap.map(values)).reshape(*values.shape, 4).copy()
    else:
        low, high = layer.contrast_limits
        grey = np.clip((values.astype(float) - low) / (high - low), 0, 1)
        colors = np.asarray(layer.colormap.map(grey.ravel())).reshape(*values.shape, 4).copy()
    colors[..., 3] *= layer.opacity
    return colors


def seen(layers: list[Any]) -> np.ndarray:
    """Red, green, blue of layers on black; the last layer is on top."""
    canvas: Any = 0.0
    for layer in layers:
        colors = drawn(layer)
        canvas = colors[..., 3:] * colors[..., :3] + (1 - colors[..., 3:]) * canvas
    return np.asarray(canvas)


def labels_of(output: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(output, mode="r")["labels/classes/0"])


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_inside_an_image_colour_it_and_leave_its_background_as_it_is(
    tmp_path: Path, tiny_model: Path, client: Client, write_image: Any, napari_layers: Any,
    version: str,
) -> None:  # fmt: skip
    image = tmp_path / "in.zarr"
    write_image(image, "tyx", version=version, metadata=PLACE)
    bigunet.segment(image, model=tiny_model, client=client)
    below, labels = napari_layers(image)
    assert (below.visible, labels.visible) == (True, False)
    voxel_labels, alone, both = labels_of(image), seen([below]), seen([below, labels])
    assert {0, 1, 2} == set(np.unique(voxel_labels))
    np.testing.assert_allclose(both[voxel_labels == 0], alone[voxel_labels == 0], atol=1e-6)
    for value in (1, 2):
        mixed = labels.opacity * COLORS[value] + (1 - labels.opacity) * alone
        np.testing.assert_allclose(
            both[voxel_labels == value], mixed[voxel_labels == value], atol=1e-6
        )
    for layer in (below, labels):
        np.testing.assert_array_equal(layer.scale, PLACE["scale"])
        assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer"]
        assert tuple(layer.axis_labels) == ("t", "y", "x")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("num_classes", [2, 3])
def test_an_output_shows_its_classes_as_soon_as_it_is_opened(
    tmp_path: Path, write_model: Any, client: Client, write_image: Any, napari_layers: Any,
    version: str, num_classes: int,
) -> None:  # fmt: skip
    image, output = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write_image(image, version=version, metadata={"scale": [0.5, 0.25]})
    model = write_model(tmp_path / "m.safetensors", classes=num_classes)
    options = SegmentOptions(ome_version=version)
    bigunet.segment(image, output, model=model, options=options, client=client)
    root, labels = napari_layers(output)
    assert root.visible
    # One class next to the background has its own colour; two classes are half and fully white.
    expected = [0, COLORS[1]] if num_classes == 2 else [0, 0.5, 1]
    voxel_labels = labels_of(output)
    for value, color in enumerate(expected):
        of_value = seen([root])[voxel_labels == value]
        assert of_value.size
        np.testing.assert_allclose(of_value, np.broadcast_to(color, of_value.shape), atol=1e-6)
    assert not drawn(labels)[voxel_labels == 0][..., 3].any()
    (source,) = napari_layers(image)
    for layer in (root, labels):
        corners = [[0, 0], [89, 69]]
        assert [tuple(layer.data_to_world(c)) for c in corners] == [
            tuple(source.data_to_world(c)) for c in corners
        ]
        assert layer.units == source.units


@pytest.mark.parametrize("version", VERSIONS)
def test_probabilities_are_a_layer_for_each_class_in_its_colour_and_the_background_is_off(
    tmp_path: Path, tiny_model: Path, client: Client, write_image: Any, napari_layers: Any,
    version: str,
) -> None:  # fmt: skip
    image, output = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write_image(image, version=version)
    options = SegmentOptions(outputs=("probabilities",), ome_version=version)
    bigunet.segment(image, output, model=tiny_model, options=options, client=client)
    stored = np.asarray(zarr.open_group(output, mode="r")["probabilities/0"]) / 255
    for opened in (output, output / "probabilities"):
        layers = napari_layers(opened)
        assert [layer.name.split(": ")[1] for layer in layers] == CLASSES
        assert [layer.visible for layer in layers] == [False, True, True]
        for number, layer in enumerate(layers):
            expected = stored[number][..., None] * COLORS[number]
            np.testing.assert_allclose(drawn(layer)[..., :3], expected, atol=1e-6)


def test_the_image_of_the_demo_is_as_bright_as_it_can_be(
    tmp_path: Path, napari_layers: Any
) -> None:
    nuclei = np.full((64, 64), 3, np.uint8)
    nuclei[20:40, 20:40] = 60
    write_demo_image(tmp_path / "in.zarr", nuclei)
    (layer,) = napari_layers(tmp_path / "in.zarr")
    assert layer.name == "in: in"
    (multiscale,) = zarr.open_group(tmp_path / "in.zarr", mode="r").attrs["ome"]["multiscales"]
    assert multiscale["datasets"][0]["path"] == "0"
    np.testing.assert_allclose(seen([layer]), np.repeat(nuclei[..., None] / 60, 3, 2), atol=1e-6)
