"""napari itself, without a window: the manifest is valid, and an output opens with its image."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

import bigunet
from bigunet.viewing.napari_reader import add_layers
from bigunet.viewing.open_scene import SceneRequest, open_scene

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "bigunet/viewing/napari.yaml"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def output(
    tmp_path_factory: pytest.TempPathFactory, write_image: object, tiny_model: Path, client: Client
) -> Path:
    folder = tmp_path_factory.mktemp("napari")
    assert callable(write_image)
    write_image(folder / "in.zarr", "yx", metadata={"scale": [0.5, 0.25]})
    bigunet.segment(
        folder / "in.zarr", folder / "out.zarr", model=tiny_model, client=client, backend="torch",
        object_class="class 1", outputs=("classes", "instances", "probabilities"),
    )  # fmt: skip
    return folder / "out.zarr"


def test_the_manifest_is_valid_and_its_entry_point_names_it() -> None:
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    module, _, name = points["napari.manifest"][manifest.name].partition(":")
    assert ROOT.joinpath(*module.split("."), name) == MANIFEST


def test_file_open_shows_the_image_and_the_labels_of_an_output(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npe2 = pytest.importorskip("npe2")
    from npe2.io_utils import _read

    manager = npe2.PluginManager()
    manager.register(npe2.PluginManifest.from_file(MANIFEST))
    # The reader asks the manager of the process for its function.
    monkeypatch.setattr(npe2.PluginManager, "instance", lambda: manager)
    layers, reader = _read([str(output)], stack=False, return_reader=True, _pm=manager)
    assert reader.command == "bigunet.get_reader"
    assert [kind for _, _, kind in layers] == ["image"] * 4 + ["labels"] * 2


def test_napari_takes_all_layers_as_they_are(output: Path) -> None:
    components = pytest.importorskip("napari.components")
    viewer = components.ViewerModel()
    add_layers(viewer, open_scene(SceneRequest(path=output)))
    names = [layer.name for layer in viewer.layers]
    assert names == [
        "in", "P(background)", "P(class 1)", "P(class 2)", "classes", "instances",
    ]  # fmt: skip
    assert [layer.visible for layer in viewer.layers] == [True, False, False, False, True, True]
    for layer in viewer.layers:
        np.testing.assert_array_equal(layer.extent.world, [[0, 0], [44.5, 17.25]])
    instances, classes = viewer.layers["instances"], viewer.layers["classes"]
    assert "area" in instances.features
    number = int(instances.features["index"].iloc[0])
    where = np.argwhere(np.asarray(instances.data) == number)[0]
    # World coordinates: micrometres.
    status = instances.get_status(tuple(where * (0.5, 0.25)), world=True)
    assert "area: " in str(status)
    assert classes.get_color(1)[:3] == pytest.approx((230 / 255, 160 / 255, 25 / 255), abs=0.01)
    assert classes.get_color(0) is None
