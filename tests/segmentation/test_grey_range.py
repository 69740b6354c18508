"""The grey range of a run: its origin, and the warnings about a range that does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from bigunet_cli.main import cli
from click.testing import CliRunner
from support.stored import contents
from torch import nn

from bigunet import Model, Normalisation, SegmentOptions, segment, segment_images
from bigunet.errors import ImageError, OptionError
from bigunet.segmentation.plan.fit import check_fit
from bigunet.segmentation.plan.normalisation import FixedNormalisation, fix_normalisation
from bigunet.segmentation.plan.plan import plan
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.stain import check_stain


class Above(nn.Module):
    """A network with one score: its input minus one half."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.layer.weight, 10.0)
        nn.init.constant_(self.layer.bias, -5.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layer(image)
        return scores


MODEL = Model.of_module(Above(), ndim=2, channels=("DAPI",))


def described(**changes: object) -> Model:
    return replace(MODEL, description=replace(MODEL.description, **changes))  # type: ignore[arg-type]


def stored(
    path: Path, *levels: np.ndarray, axes: str = "yx", names: tuple = (), um: float = 0.5
) -> Path:
    """An OME-Zarr 0.4 image; voxels of level 0 are ``um`` micrometres wide."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    datasets = []
    for k, voxels in enumerate(levels):
        group.create_array(str(k), data=voxels, chunks=(*(1,) * (voxels.ndim - 2), 64, 64))
        scale = [um * 2**k if axis in "yx" else 1.0 for axis in axes]
        transform = {"type": "scale", "scale": scale}
        datasets.append({"path": str(k), "coordinateTransformations": [transform]})
    units = {"y": "micrometer", "x": "micrometer"}
    listed = [{"name": a, **({"unit": units[a]} if a in units else {})} for a in axes]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": listed, "datasets": datasets}]
    if names:
        group.attrs["omero"] = {"channels": [{"label": name} for name in names]}
    return path


def ramp(low: int, high: int, side: int = 128) -> np.ndarray:
    """All values from low to high; each row is the same."""
    return np.tile(np.linspace(low, high, side).round().astype(np.uint16), (side, 1))


def fixed(path: Path, model: Model = MODEL, **options: object) -> FixedNormalisation:
    made = plan(path, model=model, options=SegmentOptions(**options))  # type: ignore[arg-type]
    return fix_normalisation(made)[0]


def warned(path: Path, model: Model = MODEL, **options: object) -> tuple[str, ...]:
    made: SegmentPlan = plan(path, model=model, options=SegmentOptions(**options))  # type: ignore[arg-type]
    return check_fit(made, *fix_normalisation(made)).warnings


def ends(made: FixedNormalisation) -> tuple:
    return made.values.low[0], made.values.high[0]


def test_a_range_is_measured_on_the_voxels_that_are_segmented(tmp_path: Path) -> None:
    path = stored(tmp_path / "i", ramp(0, 1270))
    assert ends(fixed(path, percentiles=(0, 100))) == (0, 1270)
    assert ends(fixed(path, percentiles=(0, 100), roi={"x": (32, 65)})) == (320, 640)
    mask = stored(tmp_path / "m", (ramp(0, 1270) < 100).astype(np.uint8))
    assert ends(fixed(path, percentiles=(0, 100), mask=str(mask))) == (0, 90)


def test_a_run_with_an_empty_mask_does_not_fail(tmp_path: Path) -> None:
    path = stored(tmp_path / "i", ramp(0, 1270))
    mask = stored(tmp_path / "m", np.zeros((128, 128), np.uint8))
    assert ends(fixed(path, percentiles=(0, 100), mask=str(mask))) == (0, 1270)


def test_a_range_may_be_given_in_numbers_or_percentiles(tmp_path: Path) -> None:
    path = stored(tmp_path / "i", ramp(0, 1000))
    made = fixed(path, grey_range=((100, 900),))
    assert (made.kind, made.origin, ends(made)) == ("fixed", "options", (100, 900))
    made = fixed(path, percentiles=(10, 90))
    assert (made.origin, made.low, made.high) == ("image", 10, 90)
    assert ends(made) == pytest.approx((100, 900), abs=10)


def test_each_channel_may_have_a_range(tmp_path: Path) -> None:
    path = stored(tmp_path / "i", np.stack([ramp(0, 10), ramp(0, 99)]), axes="cyx", names="ab")
    two = nn.Conv2d(2, 2, 1)
    model = Model.of_module(two, ndim=2, channels=("b", "a"))
    made = fixed(path, model, grey_range=((1, 2), (3, 4)))
    assert (made.values.low, made.values.high) == ((1, 3), (2, 4))
    assert fixed(path, model, grey_range=((1, 2),)).values.high == (2, 2)
    with pytest.raises(OptionError, match=r"3 grey ranges for 2 channel\(s\)"):
        fixed(path, model, grey_range=((1, 2),) * 3)


def test_several_images_can_share_the_range_of_one(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "1", ramp(0, 1000)), stored(tmp_path / "2", ramp(0, 500))
    made = fixed(second, grey_range_of=str(first), percentiles=(0, 100))
    assert (made.origin, made.other, ends(made)) == ("other image", str(first), (0, 1000))
    three = stored(tmp_path / "3", np.stack([ramp(0, 5), ramp(0, 7)]), axes="cyx")
    with pytest.raises(ImageError, match="unclear which of them to measure; give --grey-range"):
        fixed(second, grey_range_of=str(three))


@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "bright and dark turned over"])
def test_a_run_reports_and_uses_its_range_and_other_runs_can_take_it(
    client, tmp_path: Path, turned: bool
) -> None:
    path = stored(tmp_path / "i", ramp(0, 1270))
    grey = (810, 200) if turned else (200, 810)
    options = SegmentOptions(grey_range=(grey,), precision="fp32")
    report = segment(path, tmp_path / "o", model=MODEL, client=client, options=options)
    labels = zarr.open_array(str(tmp_path / "o/labels/classes/0"), mode="r")[:]
    np.testing.assert_array_equal(labels == 1, (ramp(0, 1270) > 505) != turned)
    used = report.to_dict()["normalisation"]
    assert (used["values_low"], used["values_high"], used["origin"]) == (
        [grey[0]],
        [grey[1]],
        "options",
    )
    made = fixed(path, grey_range_of=str(tmp_path / "o"))
    assert (made.origin, ends(made)) == ("other output", grey)


def test_the_command_prints_range_origin_and_channel(tmp_path: Path) -> None:
    path = stored(
        tmp_path / "i", np.stack([ramp(0, 9), ramp(0, 900)]), axes="cyx", names=("a", "b")
    )
    words = ["segment", str(path), str(tmp_path / "o"), "--channel", "b"]
    result = CliRunner().invoke(cli, [*words, "--grey-range", "100:9000", "--json"])
    assert result.exit_code == 0, result.output
    assert "channel 1 'b': 100 to 9000 (as given)" in result.stderr
    printed = json.loads(result.stdout)
    assert printed["warnings"] == []
    assert printed["channels"] == ["b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grey_range": ((1, 2),), "percentiles": (1, 2)}, "give one of the two"),
        ({"grey_range": ((1, 2),), "grey_range_of": "x"}, "give one of the two"),
        ({"grey_range": ((3, 3),)}, "two numbers that differ"),
        ({"grey_range": ((0, float("inf")),)}, "finite numbers"),
        ({"percentiles": (99, 1)}, "give 0 <= P < Q <= 100"),
        ({"percentiles": (-1, 50)}, "give 0 <= P < Q <= 100"),
        ({"level": "best"}, "unknown level 'best'"),
    ],
)
def test_an_impossible_grey_range_is_refused(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SegmentOptions(**options)


def test_options_survive_json() -> None:
    options = SegmentOptions(grey_range=((1, 2**60 + 1), (0.5, 3.0)), level="auto")
    assert SegmentOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_a_flat_channel_is_a_warning_that_says_what_to_give(tmp_path: Path) -> None:
    (line,) = warned(stored(tmp_path / "i", np.full((64, 64), 7, np.uint8)))
    assert "almost nothing but the grey value 7" in line
    assert "--grey-range" in line


def test_a_range_far_from_the_voxels_is_a_warning(tmp_path: Path) -> None:
    path = stored(tmp_path / "i", ramp(0, 4000))
    assert not warned(path)
    assert not warned(path, grey_range=((0, 3000),))
    (line,) = warned(path, grey_range=((0, 255),))
    assert "grey range 0 to 255 (options) is far from the voxels of channel 0" in line
    (line,) = warned(path, described(normalisation=Normalisation("fixed", 0, 1)))
    assert "0 to 1 (model) is far from the voxels" in line


def test_a_few_bright_voxels_that_set_the_range_are_a_warning(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 9, (256, 256)).astype(np.uint16)
    image[50:70, 50:70] = 5000
    (line,) = warned(stored(tmp_path / "i", image))
    assert line.startswith("98 % of the voxels of channel 0 lie in the lowest 5% of the grey range")


@pytest.mark.parametrize(("median", "warns"), [((0.0, 0.1), True), ((0.4, 0.6), False)])
def test_a_bright_image_for_a_model_of_dark_images_is_a_warning(
    tmp_path: Path, median: tuple, warns: bool
) -> None:
    lines = warned(stored(tmp_path / "i", ramp(0, 1270)), described(grey_median=median))
    assert bool(lines) == warns
    if warns:
        assert "give --grey-range 1270:" in lines[0]


@pytest.mark.parametrize(
    ("um", "level", "said"),
    [
        (0.5, 0, None),
        (0.4, 0, None),  # 1.25 times as small
        (0.25, 0, "level 1 fits; give --level 1, or --level auto"),
        (0.25, "auto", None),
        (4.0, 0, "no level is nearer"),
        (0.06, 0, "level 2 is nearer, and still not the same size; give --level 2"),
    ],
)
def test_voxels_of_another_size_are_a_warning_that_names_the_level(
    tmp_path: Path, um: float, level: object, said: str | None
) -> None:
    levels = [ramp(0, 100, 128 >> k) for k in range(3)]
    path = stored(tmp_path / "i", *levels, um=um)
    lines = warned(path, described(voxel_size_um=(0.5, 0.5)), level=level)
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


def test_a_run_does_not_write_over_an_image_that_it_reads(client, tmp_path: Path) -> None:
    path, out = stored(tmp_path / "i", ramp(0, 1270)), tmp_path / "o.zarr"
    segment(path, out, model=MODEL, client=client)
    before = contents(out)
    stored(tmp_path / "o.ome.zarr", ramp(0, 9))
    for options in (
        SegmentOptions(mask=str(out / "labels/classes")),
        SegmentOptions(grey_range_of=str(out)),
    ):
        with pytest.raises(OptionError, match=r"read .* and write over it"):
            segment(path, out, model=MODEL, client=client, existing="overwrite", options=options)
        with pytest.raises(OptionError, match=r"read .* and write over it"):
            list(
                segment_images(
                    [tmp_path / "o.ome.zarr"],
                    tmp_path,
                    model=MODEL,
                    client=client,
                    existing="overwrite",
                    options=options,
                )
            )
    assert contents(out) == before


def test_percentiles_do_not_go_with_the_range_of_an_output(client, tmp_path: Path) -> None:
    path = stored(tmp_path / "i", ramp(0, 1270))
    segment(path, tmp_path / "o", model=MODEL, client=client)
    with pytest.raises(OptionError, match="give no percentiles"):
        fixed(path, grey_range_of=str(tmp_path / "o"), percentiles=(1, 50))


def test_an_image_is_its_own_other_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, (256, 256)).round().astype(np.uint16)
    image[50:70, 50:70] += 400
    path = stored(tmp_path / "i", image)
    for percentiles in ((1, 99.8), (5, 95)):
        alone = fixed(path, percentiles=percentiles)
        shared = fixed(path, percentiles=percentiles, grey_range_of=str(path))
        assert shared.values == alone.values
    assert not [w for w in warned(path, grey_range_of=str(path)) if "far from" in w]


@pytest.mark.parametrize(
    ("names", "ground", "options", "refused"),
    [
        (("red", "green", "blue"), 200, {}, True),
        (("red", "green", "blue"), 200, {"percentiles": (2, 98)}, True),
        (("red", "green", "blue"), 20, {}, False),  # fluorescence in colours
        (("red", "green", "blue"), 200, {"grey_range": ((220, 20),)}, False),  # exchanged
        (("red", "green", "blue"), 200, {"grey_range": ((20, 220),)}, False),  # as it is
        (("a", "b", "c"), 200, {}, False),  # only a warning
    ],
)
def test_a_colour_of_a_stained_section_needs_a_grey_range(
    tmp_path: Path, names: tuple, ground: int, options: dict, refused: bool
) -> None:
    voxels = np.random.default_rng(0).normal(ground, 3, (3, 128, 128)).astype(np.uint8)
    voxels[:, 30:60, 30:60] = np.linspace(40, 120, 30)
    path = stored(tmp_path / "i", voxels, axes="cyx", names=names)
    usual = Normalisation("percentile", 1, 99.8)
    model = described(grey_median=(0.0, 0.2), normalisation=usual)
    made = plan(path, model=model, options=SegmentOptions(channels=(1,), **options))
    measured = fix_normalisation(made)
    if refused:
        with pytest.raises(OptionError, match=r"channel 1 'green' .* --grey-range \d+:\d+ to exch"):
            check_stain(made, *measured)
    else:
        check_stain(made, *measured)


def test_a_model_that_does_not_state_its_ground_takes_any_colour(tmp_path: Path) -> None:
    voxels = np.full((3, 64, 64), 200, np.uint8)
    voxels[:, :9] = 30
    path = stored(tmp_path / "i", voxels, axes="cyx", names=("red", "green", "blue"))
    made = plan(path, model=MODEL, options=SegmentOptions(channels=(0,)))
    check_stain(made, *fix_normalisation(made))
