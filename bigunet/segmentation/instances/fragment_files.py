"""The files of one stage that numbers fragments: of holes, seeds, objects or links."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigunet.io.images.multiscale import VOLUME_AXES, Axis
from bigunet.io.output.block_files import files_of_blocks
from bigunet.io.output.layout import PyramidLayout
from bigunet.io.output.output_image import OutputImage
from bigunet.segmentation.instances.numbered_files import NumberedFiles


@dataclass(frozen=True, slots=True)
class FragmentFiles:
    """The fragment of each voxel, what other blocks must know of them, and their ids.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    @property
    def blocks(self) -> NumberedFiles:
        """What other blocks must know of the fragments of each block."""
        return NumberedFiles(self.folder / "blocks")

    @property
    def ids(self) -> Path:
        """Id of each fragment of the image."""
        return self.folder / "ids.npy"

    @property
    def offsets(self) -> Path:
        """Number of fragments before each block."""
        return self.folder / "offsets.npy"

    @property
    def sizes(self) -> Path:
        """Voxels of each object by its id, if objects are linked afterwards."""
        return self.folder / "sizes.npy"

    def array(self, layout: PyramidLayout) -> OutputImage:
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

    def stored(self, layout: PyramidLayout, *, with_array: bool) -> np.ndarray:
        """Number and size of all files of each block; int64 (blocks, 2)."""
        of_blocks = self.blocks.stored(math.prod(layout.grid_shape(0)))
        return of_blocks + files_of_blocks([self.array(layout)], 0) if with_array else of_blocks
