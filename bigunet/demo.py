"""The demo: segments a mosaic of real nuclei with the bundled model, and draws a picture of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bigunet.blocks import BlockGrid
from bigunet.bundled.mosaic import bundled_fields, mosaic
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import OutputError
from bigunet.events import OnEvent
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Axis
from bigunet.io.images.volume import VolumeReader
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.extents import chunk_limit
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.publish import read_provenance, write_discovery_metadata
from bigunet.io.output.writer import OutputWriter
from bigunet.model.files.model_file import load_model
from bigunet.report.overlay import overlay, side_by_side, write_png
from bigunet.segmentation.run.progress import read_progress
from bigunet.segmentation.segment import segment
from bigunet.segmentation.segment_report import SegmentReport

MODEL = "nuclei"
MOSAIC_SHAPE = (5120, 5120)
_BLOCK = (2048, 2048)
# Length of the enlarged part of the picture, in voxels of the image.
_ZOOM = 640


@dataclass(frozen=True, slots=True)
class Demo:
    """The files of a demo, and its report.

    Parameters
    ----------
    image, output, picture : Path
    report : SegmentReport
    """

    image: Path
    output: Path
    picture: Path
    report: SegmentReport


def demo(
    folder: str | Path,
    *,
    shape: tuple[int, int] = MOSAIC_SHAPE,
    client: ClusterSpec | None = None,
    on_event: OnEvent | None = None,
) -> Demo:
    """Write ``in.zarr``, ``out.zarr`` and ``overlay.png`` into ``folder``.

    The image is a mosaic of real fluorescence fields (CC0), the same in every demo. An earlier demo
    in the folder is replaced.

    Parameters
    ----------
    folder : path
        It does not exist, is empty, or holds an earlier demo and nothing else.
    shape : (int, int)
        Shape of the mosaic, y and x.
    client : ClusterSpec, optional
    on_event : callable, optional
        As for `segment`.

    Raises
    ------
    OutputError
        If the folder holds anything else.
    """
    image, output = Path(folder, "in.zarr"), Path(folder, "out.zarr")
    picture = Path(folder, "overlay.png")
    own = {image, _unfinished(image), output}
    begun = any(path.exists() for path in own)
    _check_folder(Path(folder), own | {picture} if begun else own)
    if image.exists() and not _is_demo(image):
        raise OutputError(f"{image} exists and is not a demo's; give another folder")
    if output.exists() and read_progress(output).get("fingerprint", {}).get("image") != str(
        image.resolve()
    ):
        raise OutputError(f"{output} exists and is not a demo's; give another folder")
    if not _is_demo(image, shape):
        _replace_image(image, mosaic(bundled_fields(), shape))
    report = segment(
        image, output, model=MODEL, client=client, existing="overwrite", on_event=on_event
    )
    write_png(picture, _picture(image, output))
    return Demo(image, output, picture, report)


def _check_folder(folder: Path, own: set[Path]) -> None:
    """Raise OutputError if a folder holds other files than a demo's. Hidden files do not count."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder")
    others = [path for path in folder.glob("[!.]*") if path not in own]
    if others:
        raise OutputError(
            f"{folder} holds {min(others).name}, which is not a demo's; give a new or empty folder"
        )


def _unfinished(image: Path) -> Path:
    return image.with_name(f"{image.name}.unfinished")


def _replace_image(path: Path, pixels: np.ndarray) -> None:
    """Write the image under another name, then rename it: nobody uses a half-written image."""
    unfinished = _unfinished(path)
    for leftover in (unfinished, path):
        if leftover.exists():
            shutil.rmtree(leftover)
    write_image(unfinished, pixels)
    unfinished.rename(path)


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write pixels (y, x) uint8 as an OME-Zarr 0.5 image with a pyramid."""
    layout = plan_pyramid(
        pixels.shape, _BLOCK, downsampled=(True, True), chunk_limit=chunk_limit(2, 2)
    )
    image = OutputImage(
        store=str(path),
        group="",
        kind="image",
        dtype="uint8",
        axes=(Axis("y", "space", None), Axis("x", "space", None)),
        layout=layout,
        num_channels=1,
        scale=(1.0, 1.0),
        translation=(0.0, 0.0),
        version="0.5",
        window=(0, max(1, float(np.percentile(pixels, 99.8)))),
    )
    create_arrays(image)
    writer = OutputWriter(image)
    for group in range(len(layout.groups)):
        extent = Box.of_shape(layout.levels[layout.groups[group][0]].shape)
        grid = BlockGrid(extent, layout.block_shape(group))
        for index in grid.traversal():
            box = grid.box(index)
            if group == 0:
                writer.write_block(0, box, pixels[box.within(extent)])
            else:
                writer.downsample_block(group, box)
    write_discovery_metadata([image], provenance={"demo": "mosaic", "source": "BBBC038v1, CC0"})


def _is_demo(path: Path, shape: tuple[int, int] | None = None) -> bool:
    """Whether an earlier demo wrote this image; with a shape, whether it has this shape too."""
    if not path.exists():
        return False
    made = read_provenance(str(path))
    if made.get("demo") != "mosaic":
        return False
    return shape is None or open_multiscale(path).volume_shape() == shape


def _picture(image: Path, output: Path) -> np.ndarray:
    """A picture: the whole image on the left, and a part around a corner of blocks on the right."""
    colors = [c.rgba[:3] for c in load_model(MODEL).description.classes]
    source, labels = open_multiscale(image), open_multiscale(output)
    shape = source.volume_shape()
    corner = tuple(min(4096, n) - min(_ZOOM, n) // 2 - 1 for n in shape)
    start = tuple(max(0, min(c, n - _ZOOM)) for c, n in zip(corner, shape))
    stop = tuple(min(a + _ZOOM, n) for a, n in zip(start, shape))
    small = next(k for k in range(len(source.levels)) if max(source.volume_shape(k)) <= 1280)
    views = [(small, Box.of_shape(source.volume_shape(small))), (0, Box(start, stop))]
    pictures = [
        overlay(
            VolumeReader(source, level=level).read(box)[0],
            VolumeReader(labels, level=level).read(box)[0],
            colors,
        )
        for level, box in views
    ]
    height = pictures[0].shape[0]
    zoomed = Image.fromarray(pictures[1]).resize((height, height), Image.Resampling.NEAREST)
    return side_by_side(pictures[0], np.asarray(zoomed))
