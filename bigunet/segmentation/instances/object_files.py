"""The files between the stages that make objects; they lie beside the ledger until the run ends.

::

    objects.json           numbers of the objects; it stays
    objects/fragments/0    zarr array: the fragment of each voxel, numbered block by block
    objects/blocks/0/17.npz   what other blocks must know of the fragments of block 17
    objects/sums/0/17.npz     sums of the objects in block 17
    objects/ids.npy        id of each fragment of the image
    objects/offsets.npy    number of fragments before each block
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from bigunet.errors import OutputError
from bigunet.io.images.multiscale import VOLUME_AXES, Axis
from bigunet.io.output.block_files import Files
from bigunet.io.output.layout import PyramidLayout
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.measuring.sums import ObjectSums
from bigunet.objects.block_fragments import BlockFragments
from bigunet.segmentation.instances.object_summary import ObjectSummary
from bigunet.segmentation.place import Place

OBJECTS_FOLDER = "objects"
REMOVED_FOLDER = "objects.removed"
SUMMARY = "objects.json"
T = TypeVar("T")
_FOLDER_SIZE = 1000
"""Files of blocks in one folder."""


@dataclass(frozen=True, slots=True)
class ObjectFiles:
    """Paths of the files between the stages.

    Parameters
    ----------
    record : Path
        Folder of the ledger.
    """

    record: Path

    @classmethod
    def of(cls, place: Place) -> ObjectFiles:
        """The files of a run that writes to a place."""
        return cls(Path(place.store, place.record))

    @property
    def folder(self) -> Path:
        return self.record / OBJECTS_FOLDER

    @property
    def removed(self) -> Path:
        """Where the folder lies while it is removed."""
        return self.record / REMOVED_FOLDER

    @property
    def summary(self) -> Path:
        return self.record / SUMMARY

    @property
    def ids(self) -> Path:
        return self.folder / "ids.npy"

    @property
    def offsets(self) -> Path:
        return self.folder / "offsets.npy"

    def block(self, number: int) -> Path:
        """File with the fragments of a block."""
        return self._file("blocks", number)

    def sums(self, number: int) -> Path:
        """File with the sums of the objects in a block."""
        return self._file("sums", number)

    def fragments_array(self, layout: PyramidLayout) -> OutputImage:
        """The array with the fragment of each voxel, in blocks of the first level of a layout."""
        level = layout.levels[0]
        num_axes = len(level.shape)
        return OutputImage(
            store=str(self.folder),
            group="fragments",
            kind="image",
            dtype="uint32",
            axes=tuple(Axis(name, "space") for name in VOLUME_AXES[-num_axes:]),
            layout=PyramidLayout((level,), ((0,),)),
            num_channels=1,
            scale=(1.0,) * num_axes,
            translation=(0.0,) * num_axes,
            version="0.5",
        )

    def write_block(self, number: int, fragments: BlockFragments) -> Files:
        """Write the fragments of a block; number and size of the files.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        return _write(self.block(number), fragments.to_bytes())

    def write_sums(self, number: int, sums: ObjectSums) -> Files:
        """Write the sums of the objects in a block; number and size of the files.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        return _write(self.sums(number), sums.to_bytes())

    def read_block(self, number: int) -> BlockFragments:
        """Read the fragments of a block.

        Raises
        ------
        OutputError
            If the file is missing or damaged.
        """
        return _parsed(BlockFragments.from_bytes, self.block(number))

    def read_sums(self, number: int) -> ObjectSums:
        """Read the sums of the objects in a block.

        Raises
        ------
        OutputError
            If the file is missing or damaged.
        """
        return _parsed(ObjectSums.from_bytes, self.sums(number))

    def stored_blocks(self, num_blocks: int) -> np.ndarray:
        """Number (0 or 1) and size of the file of fragments of each block; int64 (blocks, 2)."""
        return self._stored("blocks", num_blocks)

    def stored_sums(self, num_blocks: int) -> np.ndarray:
        """Number (0 or 1) and size of the file of sums of each block; int64 (blocks, 2)."""
        return self._stored("sums", num_blocks)

    def _file(self, kind: str, number: int) -> Path:
        return self.folder / kind / str(number // _FOLDER_SIZE) / f"{number}.npz"

    def _stored(self, kind: str, num_blocks: int) -> np.ndarray:
        stored = np.zeros((num_blocks, 2), np.int64)
        for start in range(0, num_blocks, _FOLDER_SIZE):
            folder = self._file(kind, start).parent
            if not folder.is_dir():
                continue
            with writing(str(folder)), os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name.removesuffix(".npz")
                    if name.isdecimal() and int(name) < num_blocks and entry.is_file():
                        stored[int(name)] = 1, entry.stat().st_size
        return stored

    def are_numbered(self) -> bool:
        """Whether the fragments are removed, because all ids are written."""
        summary = ObjectSummary.read(self.summary)
        return summary is not None and not (self.folder / "fragments").exists()

    def remove(self) -> None:
        """Remove all but the summary, as far as that is possible."""
        shutil.rmtree(self.removed, ignore_errors=True)
        # In one step: what is left by a kill does not look as if it were in use.
        with contextlib.suppress(OSError):
            self.folder.rename(self.removed)
        shutil.rmtree(self.removed, ignore_errors=True)


def _write(path: Path, content: bytes) -> Files:
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(content)
    return Files(1, len(content))


def _parsed(parse: Callable[[bytes], T], path: Path) -> T:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}; run with --resume") from error
    try:
        return parse(content)
    except OutputError as error:
        raise OutputError(f"{path} is damaged: delete it, then run with --resume") from error
