"""Labels and grey values of stored images, box by box: OME-Zarr, zarr arrays, TIFF and PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bigunet.errors import ImageError, LabelsError
from bigunet.geometry import Box, Point
from bigunet.io.files.opening import open_level
from bigunet.io.images.label_classes import class_names, is_labels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.reader import LevelReader
from bigunet.io.sources.source import describe_image
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.described import column_names, steps_of_frames
from bigunet.measuring.sums import ObjectSums


@dataclass(frozen=True, slots=True)
class StoredVoxels:
    """A stored label image, and all channels of the level of an image that fits it.

    Parameters
    ----------
    labels : LevelReader
    image : LevelReader or None
    channel_names : tuple of str
        One a channel of the image, all different; one empty name for a channel alone.
    frame_sizes : dict of str to float
        Step from frame to frame, in the unit of its axis (time), or in micrometres (z).
    """

    labels: LevelReader
    image: LevelReader | None
    channel_names: tuple[str, ...]
    frame_sizes: dict[str, float]

    @classmethod
    def of(cls, labels: str | Path, image: str | Path | None, level: int = 0) -> StoredVoxels:
        """Open a level of labels, and an image.

        Raises
        ------
        LabelsError
            If the labels are classes, or have several channels.
        ImageError
            If there is no image, or none of its levels has the axes and shape of the labels.
        OptionError
            If the labels have no such level.
        """
        described = describe_image(labels)
        if described.num_channels != 1:
            raise LabelsError(
                f"{described.url} has {described.num_channels} channels; give labels of one"
            )
        if classes := class_names(described):
            raise LabelsError(
                f"{described.url} holds classes ({', '.join(classes.values())}), not objects; "
                "number them with bigunet.label_objects"
            )
        reader = open_level(described, level=level)
        if image is None:
            return cls(reader, None, (), steps_of_frames(described, level))
        other = describe_image(image)
        if is_labels(other):
            raise ImageError(
                f"{other.url} holds labels, such as an output of bigunet, and no grey values: give "
                "the image that the labels belong to; the order is IMAGE LABELS"
            )
        grey = open_level(
            other, level=_fitting(other, reader), channels=tuple(range(other.num_channels))
        )
        return cls(reader, grey, column_names(other), steps_of_frames(described, level))

    @property
    def shape(self) -> Point:
        return tuple(self.labels.shape)

    @property
    def frames(self) -> dict[str, int]:
        """Number of frames by their axis: time, and z where it has one plane."""
        return dict(zip(self.labels.axes, self.shape[: -self.ndim]))

    @property
    def ndim(self) -> int:
        """Axes of space, without a z of one plane."""
        sizes = dict(zip(self.labels.axes, self.shape))
        return 3 if sizes.get("z", 1) > 1 else 2

    @property
    def chunk(self) -> Point:
        """Voxels that cost least when they are read together."""
        readers = (self.labels,) if self.image is None else (self.labels, self.image)
        return tuple(max(sizes) for sizes in zip(*(reader.chunk for reader in readers)))

    @property
    def voxel_size_um(self) -> tuple[float, ...] | None:
        """Micrometres of a voxel along the axes of space, as the image says, or the labels."""
        for reader in (self.image, self.labels):
            if reader is not None and reader.scale_um is not None:
                return reader.scale_um[-self.ndim :]
        return None

    def sums(self, box: Box) -> ObjectSums:
        """Sums of the objects in a box."""
        grey = () if self.image is None else self.image.read(box)
        channels = dict(zip(self.channel_names, grey))
        volume = Box.of_shape(self.shape)
        return sums_of_block(self.labels.read(box)[0], box, volume, channels, ndim=self.ndim)


def _fitting(image: ImageDescription, labels: LevelReader) -> int:
    """The level of an image that has the axes and the shape of the labels."""
    shapes = [image.volume_shape(level) for level in range(len(image.levels))]
    if image.volume_axes == labels.axes and tuple(labels.shape) in shapes:
        return shapes.index(tuple(labels.shape))
    axes = "".join(image.volume_axes)
    raise ImageError(
        f"the labels {labels.url} have the axes {''.join(labels.axes)} and the shape "
        f"{tuple(labels.shape)}; the image {image.url} has {axes} and {shapes[0]}, and no level "
        "that fits; give the image of these labels"
    )


def label_url(labels: str | Path, image: str | Path) -> str | Path:
    """Labels as a user names them: a path, an output of bigunet, or a name in the image.

    An output stands for its ``labels/instances``; a name for a label in ``labels/`` of the image.

    Raises
    ------
    LabelsError
        If the name is neither a path nor that of a label.
    """
    numbered = Path(labels, "labels", "instances")
    if numbered.is_dir():
        return numbered
    if "/" in str(labels) or Path(labels).exists():
        return labels
    inside = Path(image, "labels", labels)
    if not inside.is_dir():
        raise LabelsError(f"no such labels: neither {Path(labels).absolute()} nor {inside} exists")
    return inside
