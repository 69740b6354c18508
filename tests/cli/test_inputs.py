"""Inputs that say little of themselves: the right voxels are read, or one line says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from distributed import Client

VOXELS = np.random.default_rng(0).integers(0, 256, (60, 50, 3)).astype(np.uint8)


class Tried:
    """The commands, on one image, with the tiny model and workers that run already."""

    def __init__(self, bigunet: Any, folder: Path, model: Path, client: Client) -> None:
        self.bigunet, self.folder = bigunet, folder
        self.image, self.output = folder / "in.zarr", folder / "out.zarr"
        self.workers = ("--model", model, "--scheduler", client.scheduler.address, "--quiet")

    def segment(self, *options: object, image: Path | None = None, output: str = "out.zarr") -> Any:
        places = (image or self.image, self.folder / output)
        return self.bigunet("segment", *places, *self.workers, "--json", *options)

    def labels(self, output: str = "out.zarr") -> np.ndarray:
        return np.asarray(zarr.open_group(self.folder / output, mode="r")["labels/classes/0"])

    def expected(self, plane: np.ndarray) -> np.ndarray:
        """Labels of an image that is nothing but this plane."""
        alone = write(self.folder / "alone.zarr", plane, ["y", "x"])
        assert self.segment("--overwrite", image=alone, output="alone").code == 0
        return self.labels("alone")

    def refused(self, outcome: Any, *words: str) -> None:
        assert outcome.code == 1
        (line,) = outcome.messages
        assert all(word in line for word in words), line
        assert len(line.replace(str(self.folder), "")) <= 200
        assert not self.output.exists()


@pytest.fixture
def tried(bigunet: Any, tmp_path: Path, tiny_model: Path, client: Client) -> Tried:
    return Tried(bigunet, tmp_path, tiny_model, client)


def write(path: Path, voxels: np.ndarray, names: list[str] | None) -> Path:
    array = zarr.create_array(
        str(path), shape=voxels.shape, dtype=voxels.dtype, dimension_names=names, overwrite=True
    )
    array[...] = voxels
    return path


def write_stained(path: Path, *labels: str) -> None:
    """An image (c, y, x) whose channels have these labels."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    planes = np.moveaxis(VOXELS, 2, 0)[: len(labels)]
    group.create_array("0", shape=planes.shape, dtype="uint8")[...] = planes
    entry = {"axes": [{"name": a} for a in "cyx"], "datasets": [{"path": "0"}]}
    channels = [{"label": label} for label in labels]
    group.attrs["ome"] = {
        "version": "0.5", "multiscales": [entry], "omero": {"channels": channels},
    }  # fmt: skip


def test_a_digit_that_names_one_channel_and_numbers_another_is_refused_with_both(
    tried: Tried,
) -> None:
    write_stained(tried.image, "1", "0")
    tried.refused(
        tried.segment("--channel", "1"),
        "name of channel 0 and the index of channel 1 ('0')",
        "--channel index:1 or --channel name:1",
    )
    tried.refused(tried.segment(), "choose from those of", "0 '1', 1 '0'")
    for word, index in (("index:1", 1), ("name:1", 0)):
        done = tried.segment("--channel", word, "--overwrite", output="of one")
        assert done.json["channel_indices"] == [index]
        assert done.json["channels"] == [["1", "0"][index]]
        np.testing.assert_array_equal(tried.labels("of one"), tried.expected(VOXELS[..., index]))


def test_channels_without_names_are_asked_for_and_listed_by_index(tried: Tried) -> None:
    write_stained(tried.image, "", "", "")
    tried.refused(tried.segment(), "reads 1 channel(s)", "--channel: 0, 1, 2 (without names)")
    done = tried.segment("--channel", "2")
    assert (done.json["channels"], done.json["channel_indices"]) == (["2"], [2])
    np.testing.assert_array_equal(tried.labels(), tried.expected(VOXELS[..., 2]))


def test_a_bare_array_of_colours_is_read_as_its_axes_are_stated(tried: Tried) -> None:
    write(tried.image, VOXELS, None)
    tried.refused(tried.segment("--channel", "0"), "(60, 50, 3)", "--axes yxc", "--axes zyx")
    tried.refused(tried.bigunet("info", tried.image), "--axes yxc")
    tried.refused(tried.segment("--axes", "yxc"), "is an RGB image", "--channel")
    tried.refused(tried.segment("--axes", "yxq"), "'yxq'", "such as yxc")
    stated = ("--axes", "yxc")
    assert tried.bigunet("info", tried.image, *stated, "--json").json["rgb"] is True
    done = tried.segment(*stated, "--channel", "1")
    assert (done.json["shape"], done.json["channel_indices"]) == ([60, 50], [1])
    np.testing.assert_array_equal(tried.labels(), tried.expected(VOXELS[..., 1]))
    # What was stated holds for all that goes on with the output.
    assert tried.bigunet("verify", tried.image, tried.output, "--windows", "2").code == 0
    again = tried.segment(*stated, "--channel", "index:1", "--resume")
    assert again.json["blocks_done"] == 0
    script = tried.bigunet(
        "jobs", "slurm", tried.image, tried.folder / "new.zarr", *stated, "--channel", "1",
        "--hours", "1", "--jobs", "1", "--model", tried.workers[1],
    )  # fmt: skip
    assert "--axes=yxc" in script.out


def test_names_of_axes_in_the_array_are_read(tried: Tried) -> None:
    write(tried.image, VOXELS, ["height", "width", "channel"])
    tried.refused(tried.segment("--channel", "0", "--axes", "zyx"), "'height'", "--axes zyx")
    assert tried.segment("--channel", "0").json["shape"] == [60, 50]
    np.testing.assert_array_equal(tried.labels(), tried.expected(VOXELS[..., 0]))


def test_names_of_axes_that_nobody_knows_are_refused_by_name(tried: Tried) -> None:
    write(tried.image, VOXELS, ["foo", "bar", "channel"])
    tried.refused(tried.segment("--channel", "0"), "'foo' is unknown", "--axes")


def test_of_levels_listed_from_small_to_large_the_largest_is_segmented(tried: Tried) -> None:
    group = zarr.open_group(tried.image, mode="w", zarr_format=3)
    large = np.ascontiguousarray(VOXELS[..., 0])
    for name, voxels in (("1", large[::2, ::2]), ("0", large)):
        group.create_array(name, shape=voxels.shape, dtype="uint8")[...] = voxels
    datasets = [
        {"path": p, "coordinateTransformations": [{"type": "scale", "scale": [s, s]}]}
        for p, s in (("1", 2.0), ("0", 1.0))
    ]
    entry = {"axes": [{"name": "y"}, {"name": "x"}], "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    done = tried.segment()
    assert done.json["shape"] == [60, 50]
    np.testing.assert_array_equal(tried.labels(), tried.expected(large))
    shown = tried.bigunet("info", tried.image, "--json")
    assert "lists its levels as 1, 0" in shown.json["warnings"][0]
    assert shown.messages == [f"Warning: {shown.json['warnings'][0]}"]


@pytest.mark.parametrize(
    "words", ["info {}", "plan {} --no-measure", "segment {} out.zarr", "convert {} out.zarr"]
)
def test_each_command_says_that_pages_are_read_as_z(
    bigunet: Any, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((5, 40, 30), np.uint8), metadata=None)
    model = ["--model", str(tiny_model)] if words.split()[0] in ("plan", "segment") else []
    said = bigunet(*words.format(path).split(), *model).err
    assert said.count("5 pages are read as z; give --axes tyx if they are time points") == 1
    anew = ["--overwrite"] if "out.zarr" in words else []
    silent = bigunet(*words.format(path).split(), *model, "--axes", "tyx", *anew)
    assert "pages" not in silent.err
