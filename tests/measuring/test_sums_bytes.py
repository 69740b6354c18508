"""Sums as bytes: equal sums give equal bytes, they read back, and damage is refused."""

from __future__ import annotations

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import GREY_TYPES, bits_of, block_sums, grey_for, labelled

from bigunet.errors import OutputError
from bigunet.geometry import Box
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.sums import ObjectSums


def small_sums() -> ObjectSums:
    labels = np.random.default_rng(0).integers(0, 4, (6, 7))
    box = Box.of_shape(labels.shape)
    probability = np.full(labels.shape, 0.3, np.float32)
    return sums_of_block(labels, box, box, {"DAPI": labels - 2}, probability=probability)


@given(labelled(), st.sampled_from((*GREY_TYPES, "f8")), st.integers(0, 2), st.booleans())
def test_sums_read_back_to_the_last_bit_and_give_the_same_bytes(
    labels: np.ndarray, dtype: str, channels: int, compressed: bool
) -> None:
    grey = grey_for(labels, dtype, channels, seed=labels.size)
    sums = block_sums(labels, grey, (0,) * labels.ndim)
    content = sums.to_bytes(compressed=compressed)
    back = ObjectSums.from_bytes(content)
    assert bits_of(back) == bits_of(sums)
    assert back.to_bytes(compressed=compressed) == content


def test_names_of_channels_and_the_probability_read_back() -> None:
    sums = small_sums()
    back = ObjectSums.from_bytes(sums.to_bytes())
    assert bits_of(back) == bits_of(sums)
    assert [channel.name for channel in back.grey] == ["DAPI", "probability"]
    assert back.probability is not None


@given(st.data())
def test_damaged_bytes_are_refused_or_change_nothing(data: st.DataObject) -> None:
    sums = small_sums()
    content = bytearray(sums.to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(OutputError):
        assert bits_of(ObjectSums.from_bytes(bytes(content))) == bits_of(sums)


@pytest.mark.parametrize("share", [0, 0.1, 0.9, 0.999])
def test_bytes_that_end_early_are_refused(share: float) -> None:
    content = small_sums().to_bytes()
    with pytest.raises(OutputError, match="are not the sums of a block"):
        ObjectSums.from_bytes(content[: int(len(content) * share)])


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    with np.load(io.BytesIO(small_sums().to_bytes())) as file:
        arrays = {name: file[name] for name in file.files}
    file = io.BytesIO()
    np.savez(file, **(arrays | {"voxels": arrays["voxels"][1:]}))
    with pytest.raises(OutputError, match=r"an array of shape \(2,\) where \(3,\) fits"):
        ObjectSums.from_bytes(file.getvalue())


def test_a_pickle_in_the_bytes_is_not_opened() -> None:
    file = io.BytesIO(small_sums().to_bytes())
    with zipfile.ZipFile(file, "a") as archive, archive.open("more.npy", "w") as member:
        np.save(member, np.array([{}], object))
    with pytest.raises(OutputError, match="allow_pickle=False"):
        ObjectSums.from_bytes(file.getvalue())
