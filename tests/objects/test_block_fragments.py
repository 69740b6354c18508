"""What a block says of its fragments is true in the whole volume, and always the same bytes."""

from __future__ import annotations

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.object_cases import Case, cases, checkerboard, components_of

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, LabelsError, OutputError
from bigunet.geometry import Box
from bigunet.labels import connected
from bigunet.objects import block_fragments
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.rule import ObjectRule

VOLUME = Box((0, 0), (10, 10))


@st.composite
def blocks(draw: st.DrawFn) -> tuple[np.ndarray, Box, Box, int]:
    """Labels of one block, its box, the volume around it, which may begin anywhere, and ndim."""
    case: Case = draw(cases())
    corner = [draw(st.integers(-9, 9)) for _ in case.block_shape]
    volume = Box.of_shape(case.classes.shape).shift(corner)
    grid = BlockGrid(volume, case.block_shape)
    box = grid.box(tuple(draw(st.integers(0, n - 1)) for n in grid.shape))
    return label_block(case.classes[box.within(volume)], case.rule), box, volume, case.ndim


@given(blocks(), st.integers(1, 9))
def test_sizes_first_voxels_and_faces_are_those_of_the_labels(
    block: tuple[np.ndarray, Box, Box, int], at_once: int
) -> None:
    labels, box, volume, ndim = block
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_fragments, "_VOXELS_AT_ONCE", at_once)
        fragments = fragments_of_labels(labels, box, volume, ndim=ndim)
    whole = np.zeros(volume.shape, int)
    whole[box.within(volume)] = labels
    numbers = range(1, labels.max() + 1)
    assert fragments.sizes.tolist() == [np.count_nonzero(labels == one) for one in numbers]
    assert fragments.first_voxels.tolist() == [np.flatnonzero(whole == one)[0] for one in numbers]
    assert fragments.sizes.dtype == fragments.first_voxels.dtype == np.int64
    assert len(fragments.low_faces) == ndim
    for axis, (low, high) in enumerate(
        zip(fragments.low_faces, fragments.high_faces, strict=True), start=labels.ndim - ndim
    ):
        np.testing.assert_array_equal(low, labels.take(0, axis))
        np.testing.assert_array_equal(high, labels.take(-1, axis))


@given(blocks())
def test_fragments_come_back_from_bytes_that_are_always_the_same(
    block: tuple[np.ndarray, Box, Box, int],
) -> None:
    labels, box, volume, ndim = block
    fragments = fragments_of_labels(labels, box, volume, ndim=ndim)
    content = fragments.to_bytes()
    again = BlockFragments.from_bytes(content)
    assert again.to_bytes() == content
    assert fragments_of_labels(labels, box, volume, ndim=ndim).to_bytes() == content
    for ours, theirs in [
        (again.sizes, fragments.sizes),
        (again.first_voxels, fragments.first_voxels),
        *zip(
            again.low_faces + again.high_faces,
            fragments.low_faces + fragments.high_faces,
            strict=True,
        ),
    ]:
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours, theirs)


@given(cases())
def test_fragments_are_numbered_frame_by_frame_as_scipy_numbers_them(case: Case) -> None:
    labels = label_block(case.classes, case.rule)
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, components_of(case)[0])


def test_a_block_may_have_more_fragments_than_16_bits_count() -> None:
    board = np.stack([checkerboard((300, 300))] * 2)
    expected = np.where(board, np.cumsum(board).reshape(board.shape), 0)
    np.testing.assert_array_equal(label_block(board, ObjectRule(1)), expected)
    assert expected.max() == 90_000
    with pytest.raises(LabelsError, match="classes have 2 axes; give 3 or more"):
        label_block(board[0], ObjectRule(1, ndim=3))


def test_the_bytes_hold_no_time_of_day() -> None:
    content = fragments_of_labels(np.ones((2, 2), int), Box((0, 0), (2, 2)), VOLUME).to_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("side", "num_fragments", "face_type"),
    [(20, 200, np.uint8), (24, 288, np.uint16), (400, 80_000, np.uint32)],
)
def test_faces_have_the_least_type_that_holds_the_labels(
    side: int, num_fragments: int, face_type: type[np.unsignedinteger]
) -> None:
    box = Box.of_shape((side, side))
    fragments = fragments_of_labels(connected(checkerboard(box.shape)), box, box)
    assert fragments.num_fragments == num_fragments
    assert {face.dtype for face in fragments.low_faces + fragments.high_faces} == {
        np.dtype(face_type)
    }


@given(st.data())
def test_damaged_bytes_are_refused_or_change_nothing(data: st.DataObject) -> None:
    fragments = fragments_of_labels(np.array([[1, 0], [1, 2]]), Box((4, 4), (6, 6)), VOLUME)
    content = bytearray(fragments.to_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(OutputError):
        assert BlockFragments.from_bytes(bytes(content)).to_bytes() == fragments.to_bytes()


def test_a_hidden_face_is_refused() -> None:
    fragments = fragments_of_labels(np.array([[1, 0], [1, 2]]), Box((4, 4), (6, 6)), VOLUME)
    with np.load(io.BytesIO(fragments.to_bytes())) as file:
        arrays = {name: file[name] for name in file.files if name != "low_1"}
    content = io.BytesIO()
    np.savez(content, **arrays)
    with pytest.raises(OutputError, match="a face is missing"):
        BlockFragments.from_bytes(content.getvalue())


def test_arrays_that_are_no_fragments_are_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    with pytest.raises(OutputError, match="are not the fragments of a block"):
        BlockFragments.from_bytes(file.getvalue())
    with pytest.raises(GeometryError, match=r"labels of shape \(2,\) for the block"):
        fragments_of_labels(np.ones(2, int), Box((0,), (3,)), Box((0,), (9,)))
    with pytest.raises(GeometryError, match="is not within"):
        fragments_of_labels(np.ones(3, int), Box((8,), (11,)), Box((0,), (9,)))
    with pytest.raises(GeometryError, match="give one of each for a fragment"):
        BlockFragments(np.zeros(2, int), np.zeros(3, int), (), ())
    for faces in ((), (np.zeros(3), np.zeros((3, 3))), (np.zeros(3),) * 3):
        with pytest.raises(GeometryError, match="are not of one block"):
            BlockFragments(np.zeros(2, int), np.zeros(2, int), faces, faces)
