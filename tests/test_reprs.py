"""What Python shows of public things is a line or two, also where they hold a network."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import bigunet
from bigunet import (
    Augmentation,
    BlockDone,
    ClusterSpec,
    ConvertReport,
    EvaluateOptions,
    JobSpec,
    Model,
    Recipe,
    SegmentOptions,
    TrainBegun,
    TrainOptions,
    TrainReport,
)
from bigunet.options.short_repr import shown_names

OPTIONS = [
    Augmentation,
    ClusterSpec,
    EvaluateOptions,
    JobSpec,
    Recipe,
    SegmentOptions,
    TrainOptions,
]

segment_options = st.builds(
    SegmentOptions,
    level=st.integers(0, 3),
    axes=st.sampled_from(["", "yxc"]),
    roi=st.dictionaries(st.sampled_from("zyx"), st.tuples(st.just(1), st.integers(2, 9))),
    channels=st.lists(st.integers(0, 3) | st.sampled_from(["DAPI", "1"])).map(tuple),
    tta=st.booleans(),
)
recipes = st.builds(Recipe, steps=st.integers(1, 9), augmentation=st.just(Augmentation(noise=0.2)))
clusters = st.builds(
    ClusterSpec, workers=st.none() | st.integers(1, 9), host=st.sampled_from(["", "127.0.0.1"])
)


@given(segment_options | recipes | clusters)
def test_options_are_shown_as_the_shortest_call_that_makes_them(options: Any) -> None:
    shown = repr(options)
    assert eval(shown, vars(bigunet)) == options
    for name, value in ((one, getattr(options, one)) for one in type(options).__slots__):
        usual = getattr(type(options)(), name)
        assert (f"{name}=" in shown.replace("SegmentOptions(", "")) == (value != usual)


@pytest.mark.parametrize("described", OPTIONS)
def test_options_that_are_the_usual_ones_are_shown_as_such(described: Any) -> None:
    assert repr(described()) == f"{described.__name__}()"


def test_all_classes_with_many_fields_have_a_short_repr_of_their_own() -> None:
    for name in bigunet.__all__:
        value = getattr(bigunet, name)
        if inspect.isclass(value) and is_dataclass(value) and len(fields(value)) > 8:
            # The one that dataclass makes is wrapped.
            assert not hasattr(value.__repr__, "__wrapped__"), name


def test_a_model_is_shown_by_name_network_channels_classes_and_halo() -> None:
    model = bigunet.load_model("nuclei")
    assert repr(model) == (
        "<Model: nuclei; unet; channels 0; background, nucleus, border; 2D; halo 44 × 44>"
    )
    assert repr(model.description) == (
        "<ModelDescription: nuclei; unet; channels 0; background, nucleus, border>"
    )


def test_a_plan_and_a_report_are_lines_with_what_matters(
    tiny_model: Path, client: Client, tmp_path: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr", "yx", shape=(40, 30))
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=tiny_model, client=client
    )
    plan, shown = repr(report.plan), repr(report)
    assert plan.startswith("<SegmentPlan: ")
    assert plan.endswith("/in.zarr; tiny; 40 × 30 voxels; 1 block of 64 × 64>")
    assert shown.startswith("<SegmentReport: ")
    assert "out.zarr; 40 × 30 voxels; " in shown
    assert "background " in shown
    assert "not finished" in repr(replace(report, finished=False))
    assert "; 1 object" not in shown
    assert max(len(plan), len(shown)) < 200
    in_notebook = replace(report, table="<t>")._repr_html_()
    assert f'<a href="{Path(report.page).as_uri()}">report</a>' in in_notebook
    assert "<tr><th>voxels</th><td>40 × 30 in " in in_notebook
    assert "<td>&lt;t&gt;</td>" in in_notebook
    assert "objects" not in in_notebook


def test_long_names_and_many_of_them_are_cut() -> None:
    assert shown_names(tuple("abcdefgh")) == "a, b, c, d … h"
    model = bigunet.load_model("nuclei")
    long = replace(model.description, name="n" * 300)
    assert isinstance(model, Model)
    assert len(repr(long)) < 190


def test_a_train_report_is_a_line() -> None:
    report = TrainReport(
        Path("m.safetensors"), Path("m"), "ap", 0.5, 3, 9, 61.0, 1.0, 0.0, False, 7
    )
    assert repr(report) == "<TrainReport: m.safetensors; ap 0.5; step 3 of 9; 61 s>"


def test_events_are_lines() -> None:
    done = BlockDone("segment", (0, 1), {"voxels": 9, "seconds": 1.0}, 3, 9, "a.zarr")
    assert repr(done) == "<BlockDone: a.zarr; segment; 3 of 9 blocks>"
    begun = TrainBegun(20, 5, (188, 188), 1_927_075, 0, "dice", doubts=("flat",))
    assert repr(begun) == (
        "<TrainBegun: 20 images, 5 to validate on; patches of 188 × 188; 1927075 weights; 1 doubt>"
    )


def test_a_convert_report_is_a_line() -> None:
    levels = ((40, 30), (20, 15))
    report = ConvertReport("in.tif", "out.zarr", ("y", "x"), levels, ("0",), "uint8", None)
    assert repr(report) == ("<ConvertReport: out.zarr; 40 × 30 voxels; 1 channel; 2 levels; 0.0 s>")
