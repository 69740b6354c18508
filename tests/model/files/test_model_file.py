"""Laws of the model file: a saved model comes back, and no other file is taken for a model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bigunet.errors import ModelError, OutputError
from bigunet.model.description import (
    FORMAT_VERSION,
    ModelDescription,
    Normalisation,
    SegmentationClass,
    default_classes,
)
from bigunet.model.files.model_file import load_model, save_model
from bigunet.model.files.names import bundled_models
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.model.object_description import ObjectDescription
from bigunet.training.data.targets import TargetRule
from bigunet.training.validate import described_objects

CONFIG = UNetConfig(width=2, depth=1, in_channels=2, classes=3, batch_norm=True)
DESCRIPTION = ModelDescription(
    name="cells",
    architecture={"name": "unet", "config": CONFIG.to_dict()},
    classes=default_classes(3),
    channels=("nuclei", "membranes"),
    normalisation=Normalisation("fixed", 10, 4000.5),
    precisions=("fp32", "bf16"),
    voxel_size_um=(0.5, 0.25),
    objects=ObjectDescription("class 1", border="class 2", border_width=2, smallest=12),
    training={"steps": 7},
    card={"licence": "CC0-1.0"},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
COLORS = st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True)
DESCRIPTIONS = st.builds(
    ModelDescription,
    name=st.text(),
    architecture=st.fixed_dictionaries(
        {"name": st.text(), "config": st.dictionaries(st.text(), st.integers())}
    ),
    classes=st.lists(st.builds(SegmentationClass, st.text(), COLORS), min_size=2).map(tuple),
    channels=st.lists(st.text()).map(tuple),
    normalisation=st.builds(Normalisation, st.just("percentile"), st.just(0.5), st.just(99)),
    voxel_size_um=st.none() | st.tuples(st.floats(0.01, 9), st.floats(0.01, 9)),
)


@pytest.fixture
def module() -> UNet:
    torch.manual_seed(0)
    module = UNet(CONFIG).initialise()
    with torch.no_grad():
        module.encoder[0][1].running_mean.uniform_()
    return module.eval()


@pytest.fixture
def saved(tmp_path: Path, module: UNet) -> Path:
    path = tmp_path / "deep" / "cells.safetensors"
    save_model(path, module, DESCRIPTION)
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write the same weights with a changed description."""
    content = DESCRIPTION.to_dict()
    change(content)
    save_file(load_file(path), path, metadata={"bigunet": json.dumps(content)})
    return path


def test_a_saved_model_comes_back_whole(saved: Path, module: UNet) -> None:
    model = load_model(saved)
    assert model.description == DESCRIPTION
    assert model.receptive_field == CONFIG.receptive_field()
    assert (model.ndim, model.in_channels, model.zero_padded) == (2, 2, False)
    assert model.path == str(saved)
    assert not model.module.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(model.module.state_dict()[name], tensor)


def test_a_file_of_half_the_size_rounds_the_weights_and_computes_in_fp32(
    tmp_path: Path, saved: Path, module: UNet
) -> None:
    path = tmp_path / "half.safetensors"
    save_model(path, module, DESCRIPTION, half=True)
    again = load_model(path).module.state_dict()
    assert path.stat().st_size < saved.stat().st_size
    for name, tensor in module.state_dict().items():
        assert again[name].dtype == tensor.dtype
        assert torch.allclose(again[name], tensor, rtol=2**-10, atol=1e-6)
    assert {t.dtype for t in load_file(path).values()} == {torch.float16, torch.int64}


def test_the_digest_is_of_the_files_content(tmp_path: Path, saved: Path, module: UNet) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(saved.read_bytes())
    assert load_model(copy).digest == load_model(saved).digest
    with torch.no_grad():
        module.head.bias += 1
    save_model(copy, module, DESCRIPTION)
    assert load_model(copy).digest != load_model(saved).digest


@given(DESCRIPTIONS)
def test_a_description_survives_json(description: ModelDescription) -> None:
    again = json.loads(json.dumps(description.to_dict()))
    assert ModelDescription.from_dict(again) == description


@settings(deadline=None)
@given(st.sampled_from(sorted(DESCRIPTION.to_dict())), JSON)
def test_a_damaged_description_is_a_model_error_and_no_other(key: str, value: object) -> None:
    content = DESCRIPTION.to_dict() | {key: value}
    with contextlib.suppress(ModelError):
        ModelDescription.from_dict(content)
    without = {k: v for k, v in content.items() if k != key}
    with contextlib.suppress(ModelError):
        ModelDescription.from_dict(without)


@settings(deadline=None)
@given(JSON)
def test_json_that_is_no_object_is_no_description(value: Any) -> None:
    with pytest.raises(ModelError, match="no bigunet description"):
        ModelDescription.from_dict(value)


@pytest.mark.parametrize("length", [4, 8, 100, 1000, -1])
def test_a_truncated_file_is_refused(saved: Path, length: int) -> None:
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ModelError, match=r"is not a readable \.safetensors file"):
        load_model(saved)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_weights_without_a_description_are_refused(
    saved: Path, metadata: dict[str, str] | None
) -> None:
    save_file(load_file(saved), saved, metadata=metadata)
    with pytest.raises(ModelError, match=r"40 tensors without a bigunet description, by another"):
        load_model(saved)


def test_a_description_that_is_not_json_is_refused(saved: Path) -> None:
    save_file(load_file(saved), saved, metadata={"bigunet": "{"})
    with pytest.raises(ModelError, match="the description is not JSON"):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, "this bigunet reads 1: upgrade bigunet"),
        ({"format": "other"}, "written by another tool"),
        ({"architecture": {"name": "transformer"}}, "unknown architecture 'transformer'"),
        ({"architecture": "unet"}, "damaged: architecture 'unet'"),
        ({"architecture": {"name": "unet", "config": [1]}}, "not the numbers of a U-Net"),
        ({"classes": []}, r"0 class\(es\); labels hold 2 to 256"),
        ({"channels": ["one"]}, "1 channels and 3 classes for a network of 2 and 3"),
        ({"classes": [{"name": "a", "color": "red"}]}, "has colour 'red'; write #rrggbb"),
        ({"normalisation": {"kind": "none"}}, "normalisation 'none'; known: percentile, fixed"),
        ({"surprise": 1}, "a field 'surprise', which this bigunet does not know: upgrade"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    saved: Path, change: dict[str, Any], message: str
) -> None:
    rewritten(saved, lambda content: content.update(change))
    with pytest.raises(ModelError, match=rf"cells\.safetensors: .*{message}"):
        load_model(saved)


def test_weights_of_another_network_are_neither_saved_nor_loaded(saved: Path) -> None:
    other = UNetConfig(**{**CONFIG.to_dict(), "width": 3})
    with pytest.raises(ModelError, match="the weights are not those of"):
        save_model(saved, UNet(other), DESCRIPTION)
    save_file(
        UNet(other).state_dict(), saved, metadata={"bigunet": json.dumps(DESCRIPTION.to_dict())}
    )
    with pytest.raises(ModelError, match="the weights do not fit the description"):
        load_model(saved)


def test_a_cut_off_save_leaves_the_old_file_and_nothing_else(
    saved: Path, module: UNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(state: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr("bigunet.model.files.writing.save_file", full_disk)
    with pytest.raises(OutputError, match=r"cannot write .*cells\.safetensors: .*No space left"):
        save_model(saved, module, DESCRIPTION)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_target_that_cannot_be_a_file_is_an_output_error(tmp_path: Path, module: UNet) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    for path in (folder, file / "m.safetensors"):
        with pytest.raises(OutputError, match="cannot write"):
            save_model(path, module, DESCRIPTION)
    assert {path.name for path in tmp_path.rglob("*")} == {"folder", "file"}


def test_bundled_models_load_by_name() -> None:
    assert {"em-boundaries", "nuclei"} <= set(bundled_models())
    for name, path in bundled_models().items():
        model = load_model(name)
        assert model.path == str(path.resolve())
        assert model.description.name == name


def test_nuclei_are_objects_with_a_border_of_the_size_that_its_score_counts() -> None:
    options = load_model("nuclei").description.training["options"]
    objects = described_objects(
        TargetRule(options["target"], border_width=options["border_width"]), options["class_names"]
    )
    assert objects == ObjectDescription("nucleus", "border", 1, 12)
    assert load_model("nuclei").description.objects == objects


def test_the_interior_of_boundaries_is_pieces_of_cells_and_no_objects() -> None:
    assert load_model("em-boundaries").description.objects is None


def test_an_unknown_name_is_refused_with_the_names_of_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'nonsense': .*bundled: .*nuclei"):
        load_model("nonsense")
    with pytest.raises(ModelError, match="neither a file nor bundled"):
        load_model(tmp_path / "not there")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (("fixed", 5, 5), "maps 5 to 0 and 5 to 1"),
        (("fixed", float("nan"), 5), "maps nan to 0"),
        (("percentile", -1, 99), "percentiles -1 and 99 are not within 0 to 100"),
        (("percentile", 1, 100.5), "are not within 0 to 100"),
    ],
)
def test_impossible_normalisations_are_refused(
    numbers: tuple[Any, float, float], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Normalisation(*numbers)


def test_a_colour_has_four_channels_and_classes_are_named_from_the_background_on() -> None:
    assert SegmentationClass("a", "#0102fF").rgba == (1, 2, 255, 255)
    assert [c.name for c in default_classes(20)[:3]] == ["background", "class 1", "class 2"]
    assert len(default_classes(20)) == 20


@pytest.mark.parametrize("count", [0, 1, 257])
def test_a_number_of_classes_that_uint8_labels_cannot_tell_apart_is_refused(count: int) -> None:
    with pytest.raises(ModelError, match=rf"{count} class\(es\); labels hold 2 to 256"):
        ModelDescription("m", {}, default_classes(count) if count else (), ("0",))


def test_256_classes_are_accepted() -> None:
    assert len(ModelDescription("m", {}, default_classes(256), ("0",)).classes) == 256
