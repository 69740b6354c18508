"""How convolutions are computed, through the whole run: chosen once, recorded, exact, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.whole_pass import wrong_labels

import bigunet
from bigunet import SegmentOptions, load_model
from bigunet.engine.ledger import Ledger
from bigunet.errors import OptionError, ResumeError
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.segmentation.plan import convolution_choice
from bigunet.segmentation.plan.plan import plan as make_plan
from bigunet.segmentation.run.record_files import ledger_path

GREY = GreyRange((0.0,), (255.0,))
FP32 = {"precision": "fp32", "backend": "torch", "block_shape": (64, 64), "tile_shape": (32, 32)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, write_model: Any) -> Path:
    """With two layers that are worth it."""
    folder = tmp_path_factory.mktemp("models")
    return write_model(folder / "wide.safetensors", width=32, depth=1)


@pytest.fixture
def image(tmp_path: Path, write_image: Any) -> Path:
    write_image(tmp_path / "in.zarr", shape=(90, 70))
    return tmp_path / "in.zarr"


@pytest.fixture
def choices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Small runs are measured, too; the list holds what was measured."""
    seen: list[str] = []
    on_a_worker = convolution_choice.on_a_worker

    def remember(*arguments: Any, **names: Any) -> str:
        seen.append(on_a_worker(*arguments, **names))
        return seen[-1]

    monkeypatch.setattr(convolution_choice, "_LEAST_FLOPS", 0)
    monkeypatch.setattr(convolution_choice, "_MEASURED_FLOPS", 10_000_000)
    monkeypatch.setattr(convolution_choice, "on_a_worker", remember)
    return seen


def recorded(output: Path) -> str:
    return str(Ledger.run_of(ledger_path(output))["option convolution"])


def classes(output: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(str(output / "labels/classes/0"), mode="r")[:])


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    shape=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    block=st.tuples(st.integers(32, 80), st.integers(32, 80)),
    tile=st.tuples(st.integers(2, 64), st.integers(2, 64)),
)
def test_any_block_and_tile_gives_the_labels_of_one_direct_pass(
    shape, block, tile, model: Path, write_image: Any, client: Client, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("winograd")
    pixels = write_image(folder / "in.zarr", shape=shape)
    bigunet.segment(
        folder / "in.zarr", folder / "out.zarr", model=model, client=client,
        convolution="winograd", block_shape=block, tile_shape=tile, no_report=True,
    )  # fmt: skip
    loaded = load_model(model)
    field = loaded.receptive_field
    ends = [-n % step for n, step in zip(shape, field.stride)]
    padding = [(halo, halo + end) for halo, end in zip(field.halo, ends)]
    grown = np.pad(pixels, padding, mode="reflect")
    scores = Predictor(loaded, GREY).scores(grown[None])[(slice(None), *map(slice, shape))]
    assert wrong_labels(classes(folder / "out.zarr"), torch.as_tensor(scores)) == 0


def test_the_choice_is_measured_once_and_recorded(
    image: Path, model: Path, client: Client, tmp_path: Path, choices: list[str]
) -> None:
    report = bigunet.segment(image, tmp_path / "out.zarr", model=model, client=client, **FP32)
    assert len(choices) == 1
    assert recorded(tmp_path / "out.zarr") == choices[0] == report.plan.options.convolution
    assert choices[0] == "direct" or choices[0].startswith("winograd:")


@pytest.mark.parametrize("chosen", ["direct", "winograd:encoder.1.3,decoder.0.0"])
def test_a_resumed_run_keeps_the_choice_and_measures_nothing(
    image: Path, model: Path, client: Client, tmp_path: Path, chosen: str, choices: list[str]
) -> None:
    output = tmp_path / "out.zarr"
    run = {"model": model, "client": client, **FP32}
    bigunet.segment(image, output, convolution=chosen, **run)
    before = classes(output)
    (output / "labels/classes/0/c/0/0").unlink()
    report = bigunet.segment(image, output, existing="resume", **run)
    assert (recorded(output), report.blocks_done) == (chosen, 1)
    assert choices == []
    assert np.array_equal(classes(output), before)


def test_a_run_with_another_choice_does_not_continue(
    image: Path, model: Path, client: Client, tmp_path: Path
) -> None:
    run = {"model": model, "client": client, **FP32}
    bigunet.segment(image, tmp_path / "out.zarr", convolution="winograd", **run)
    with pytest.raises(ResumeError, match="convolution"):
        bigunet.segment(
            image, tmp_path / "out.zarr", convolution="direct", existing="resume", **run
        )


def test_parts_do_not_measure(
    image: Path, model: Path, client: Client, tmp_path: Path, choices: list[str]
) -> None:
    bigunet.segment(image, tmp_path / "out.zarr", model=model, client=client, part="1/2", **FP32)
    assert (recorded(tmp_path / "out.zarr"), choices) == ("direct", [])


@pytest.mark.parametrize(
    "options",
    [{"precision": "bf16"}, {"backend": "compile"}, {"convolution": "direct"}, {"small": True}],
    ids=str,
)
def test_runs_that_gain_nothing_do_not_measure(
    image: Path, model: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution_choice, "_LEAST_FLOPS", 10**15 if "small" in options else 0)
    given = {"precision": "fp32", **options}
    given.pop("small", None)
    made = make_plan(image, model=model, **given)
    asked = given.get("convolution", "auto")
    assert not (asked == "auto" and convolution_choice._is_worth_it(made))


def test_winograd_is_an_fp32_method(image: Path, model: Path) -> None:
    assert make_plan(image, model=model, convolution="winograd").precision == "fp32"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"convolution": "fft"}, "unknown convolution 'fft'; known: auto, direct, winograd"),
        ({"convolution": "winograd:"}, "unknown convolution 'winograd:'"),
        ({"convolution": "winograd", "backend": "openvino"}, "leave out --backend openvino"),
        ({"convolution": "winograd", "device": "cuda"}, "leave out --device cuda"),
        ({"convolution": "winograd", "precision": "bf16"}, "leave out --precision bf16"),
    ],
)
def test_what_does_not_fit_winograd_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        SegmentOptions(**options)
