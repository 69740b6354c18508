"""Laws of kept border terms: they equal those of patches, and follow changes of the labels."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from PIL import Image
from support.discs import InMemory, discs, grey_of, sample_of
from support.training_images import OPTIONS, quick, write_array

from bigunet.errors import ImageError, OutputError
from bigunet.geometry import Box
from bigunet.training.data.patches import read_border_term
from bigunet.training.data.training_set import TrainingSet, open_training_set
from bigunet.training.loop import Machine
from bigunet.training.run import border_terms
from bigunet.training.run.border_terms import keep_border_terms
from bigunet.training.run.training_run import TrainingRun

MACHINE = Machine(torch.device("cpu"))


def write_pair(folder: Path, kind: str, shape: tuple[int, ...] = (60, 50)) -> Path:
    """Write an image and its labels; return the path of the labels."""
    labels = discs(shape)
    if kind == "png":
        Image.fromarray(grey_of(labels)).save(folder / "image.png")
        Image.fromarray(labels).save(folder / "labels.png")
        return folder / "labels.png"
    write_array(folder / "image.zarr", grey_of(labels))
    if kind == "array":
        zarr.create_array(
            str(folder / "labels.zarr"),
            shape=shape,
            chunks=(20,) * len(shape),
            dtype=labels.dtype,
            dimension_names=list("zyx"[-len(shape) :]),
        )[...] = labels
    else:
        write_array(folder / "labels.zarr", labels, scale=(1.0,) * len(shape))
    return folder / "labels.zarr"


def opened(labels: Path) -> tuple[TrainingSet, TrainingRun]:
    image, folder = labels.with_name(f"image{labels.suffix}"), labels.parent
    recipe = quick()
    run = TrainingRun(
        str(image),
        str(labels),
        folder / "m.safetensors",
        options=OPTIONS,
        recipe=recipe,
        weight_cache=str(folder / "cache" / "terms"),
    )
    return open_training_set(image, labels, OPTIONS, recipe), run


def kept_for(labels: Path) -> np.ndarray:
    """The kept terms (*space) of the only sample to learn from."""
    training_set, run = opened(labels)
    (source,) = keep_border_terms(training_set, run, MACHINE)
    return source.read(Box.of_shape(source.shape))[0]


def names_of(labels: Path) -> set[str]:
    return {path.name for path in (labels.parent / "cache" / "terms").iterdir()}


@pytest.mark.parametrize("shape", [(60, 50), (30, 25, 20)])
def test_kept_terms_equal_those_that_patches_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(border_terms, "_CHUNK_VOXELS", {2: 16, 3: 8})
    labels = write_pair(tmp_path, "array", shape)
    training_set, run = opened(labels)
    sample = training_set.samples[0]
    whole = Box.of_shape(sample.labels.shape)
    expected = read_border_term(sample, whole, run.recipe, ndim=len(shape))
    assert expected.max() > 1
    np.testing.assert_allclose(kept_for(labels), expected, rtol=1e-5, atol=1e-5)


def correct_png(path: Path) -> None:
    Image.fromarray(discs(seed=1)).save(path)


def correct_chunk(path: Path) -> None:
    array = zarr.open_array(str(path), mode="r+")
    array[20:40, 20:40] = discs(seed=1)[20:40, 20:40]


def correct_level(path: Path) -> None:
    zarr.open_array(str(path / "0"), mode="r+")[...] = discs(seed=1)


def correct_keeping_sizes(path: Path) -> None:
    """Change the time of one file only, as a write into an uncompressed chunk does."""
    chunk = path / "c" / "0" / "0"
    before = chunk.stat()
    os.utime(chunk, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def correct_keeping_times(path: Path) -> None:
    """Change the size of one file only, as a tool that restores times does."""
    chunk = path / "c" / "0" / "0"
    before = chunk.stat()
    chunk.write_bytes((path / "c" / "0" / "1").read_bytes())
    assert chunk.stat().st_size != before.st_size
    os.utime(chunk, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_chunks(path: Path) -> None:
    """Swap the names of two files, with their sizes and times."""
    first, second, aside = path / "c" / "0" / "0", path / "c" / "0" / "1", path / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


@pytest.mark.parametrize(
    ("kind", "correct"),
    [
        ("png", correct_png),
        ("array", correct_chunk),
        ("ome", correct_level),
        ("array", correct_keeping_sizes),
        ("array", correct_keeping_times),
        ("array", swap_chunks),
    ],
)
def test_labels_corrected_in_place_are_computed_again(
    tmp_path: Path, kind: str, correct: Callable[[Path], None]
) -> None:
    labels = write_pair(tmp_path, kind)
    training_set, run = opened(labels)
    keep_border_terms(training_set, run, MACHINE)
    before = names_of(labels)
    folder_time = labels.stat().st_mtime_ns
    correct(labels)
    if labels.is_dir() and correct is not swap_chunks:
        assert labels.stat().st_mtime_ns == folder_time
    keep_border_terms(training_set, run, MACHINE)
    assert len(names_of(labels) - before) == 1


def test_terms_of_corrected_labels_are_the_new_ones(tmp_path: Path) -> None:
    labels = write_pair(tmp_path, "array")
    before = kept_for(labels)
    correct_chunk(labels)
    after = kept_for(labels)
    training_set, run = opened(labels)
    sample = training_set.samples[0]
    expected = read_border_term(sample, Box.of_shape(sample.labels.shape), run.recipe, ndim=2)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["png", "array", "ome"])
def test_labels_that_are_only_read_keep_their_terms(tmp_path: Path, kind: str) -> None:
    labels = write_pair(tmp_path, kind)
    first, names = kept_for(labels), names_of(labels)
    np.testing.assert_array_equal(kept_for(labels), first)
    assert names_of(labels) == names


@pytest.mark.parametrize(
    ("scheme", "noticed"),
    [("file://", True), ("memory:/", False)],  # a store does not say when it was written
)
def test_labels_at_an_address_are_kept_and_corrected_ones_noticed_on_disk(
    tmp_path: Path, scheme: str, noticed: bool
) -> None:
    labels = write_pair(tmp_path, "array")
    training_set, run = opened(labels)
    sample = sample_of(discs())
    addressed = replace(sample, labels=InMemory(discs()[np.newaxis], "yx", f"{scheme}{labels}"))
    training_set = replace(training_set, samples=(addressed,))
    keep_border_terms(training_set, run, MACHINE)
    names = names_of(labels)
    keep_border_terms(training_set, run, MACHINE)
    assert names_of(labels) == names
    correct_chunk(labels)
    keep_border_terms(training_set, run, MACHINE)
    assert (names_of(labels) != names) == noticed


def test_a_link_that_leads_nowhere_is_no_file_of_the_labels(tmp_path: Path) -> None:
    labels = write_pair(tmp_path, "array")
    kept_for(labels)
    names = names_of(labels)
    (labels / ".#lock").symlink_to("nowhere")
    kept_for(labels)
    assert names_of(labels) == names


def test_missing_labels_are_an_error(tmp_path: Path) -> None:
    labels = write_pair(tmp_path, "png")
    training_set, run = opened(labels)
    labels.unlink()
    with pytest.raises(ImageError, match=r"cannot read .*labels\.png"):
        keep_border_terms(training_set, run, MACHINE)


def test_an_array_of_the_user_is_not_removed(tmp_path: Path) -> None:
    labels = write_pair(tmp_path, "array")
    kept_for(labels)
    (name,) = names_of(labels)
    path = tmp_path / "cache" / "terms" / name
    path.rename(tmp_path / "away")
    write_array(path, discs())
    with pytest.raises(OutputError, match="is no array that bigunet keeps"):
        kept_for(labels)
    np.testing.assert_array_equal(zarr.open_array(str(path), mode="r")[...], discs())


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    labels = write_pair(tmp_path, "png")
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot make .*cache/terms"):
        kept_for(labels)
