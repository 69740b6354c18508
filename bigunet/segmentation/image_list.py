"""Lists the images that paths, patterns and folders stand for. It opens none of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileSeries, name_of
from bigunet.io.files.rasters import is_raster
from bigunet.io.sources.pairs import natural_order
from bigunet.segmentation.place import RUN_FOLDER
from bigunet.segmentation.run.progress import is_conversion
from bigunet.stores.access import find_node, normal_url, reading

# The longest come first, because only one of them is removed from a name.
_SUFFIXES = (".ome.zarr.zip", ".zarr.zip", ".ome.zarr", ".zarr", ".ozx", ".zip")
_ZARRS = (".zarr", ".zarr.zip", ".ozx")


def list_images(
    sources: Iterable[str | Path], *, outputs: str | Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths and URLs of the images that ``sources`` stand for, each once, and what is left out.

    Parameters
    ----------
    sources : iterable of path or URL
        Images, patterns such as ``images/*.zarr``, and folders. A folder stands for the images that
        lie directly in it, in natural order.
    outputs : path
        Folder of the outputs. Outputs of bigunet in it are left out, so that the same command can
        run again. Outputs in other folders are inputs only if ``sources`` names them one by one.

    Returns
    -------
    images, left_out : tuple of str

    Raises
    ------
    ImageError
        If a pattern or a folder stands for no image.
    """
    images: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for given in sources:
        source = os.fspath(given)
        for path in _expanded(source, outputs):
            named = path == source and not _lies_in(path, outputs)
            kept = images if named or not _is_output(path) else left_out
            kept.setdefault(_identity(path), path)
    return tuple(images.values()), tuple(left_out.values())


def is_several(source: str) -> bool:
    """Whether this is a pattern with matches, or a folder that holds images and is none itself."""
    if "://" in source:
        return False
    if os.path.lexists(source):
        return _is_plain_folder(source) and bool(_images_in(source))
    return glob.has_magic(source) and bool(glob.glob(source, recursive=True))


def example_of(source: str) -> str:
    """The first of the paths that a folder or a pattern stands for."""
    if os.path.lexists(source):
        return _images_in(source)[0]
    return natural_order(glob.glob(source, recursive=True), ignore_case=True)[0]


def stem_of(source: str) -> str:
    """The name of an image without its folder and suffix.

    >>> stem_of("https://example.org/slides/a.ome.zarr?version=2"), stem_of("b.c/d.zarr/0")
    ('a', '0')
    >>> stem_of("slides/a.ome.tif"), stem_of("scan.lif#2")
    ('a', 'scan-2')
    """
    if "://" in source:
        parts = urlsplit(source)
        name = parts.path.rstrip("/").rpartition("/")[2] or parts.netloc
    else:
        name = os.path.basename(os.path.abspath(source))
    if is_raster(name):
        series = FileSeries.of(name)
        return name_of(series.path) + ("" if series.number is None else f"-{series.number}")
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _expanded(source: str, outputs: str | Path) -> Iterator[str]:
    if "://" in source or (os.path.lexists(source) and not _is_plain_folder(source)):
        yield source
        return
    if os.path.lexists(source):
        yield from _images_of_folder(source, outputs)
        return
    if os.path.isfile(FileSeries.of(source).path):
        yield source
        return
    if not glob.has_magic(source):
        raise ImageError(
            f"{normal_url(source)} does not exist; see how it is written, and give the path of an "
            "image"
        )
    matches = natural_order(glob.glob(source, recursive=True), ignore_case=True)
    if not matches:
        raise ImageError(f"no path matches {source}; see what is there, and how it is written")
    for match in matches:
        yield from _images_of_folder(match, outputs) if _is_plain_folder(match) else [match]


def _images_of_folder(folder: str, outputs: str | Path) -> Sequence[str]:
    images = _images_in(folder)
    if not images and _identity(folder) != _identity(outputs):
        patterns = ", ".join(f"*{suffix}" for suffix in _ZARRS)
        raise ImageError(
            f"folder {folder} holds no image ({patterns}, or a file such as *.tif); give its "
            "images, or leave it"
        )
    num_zarrs = sum(image.lower().endswith(_ZARRS) for image in images)
    if 0 < num_zarrs < len(images):
        raise ImageError(
            f"folder {folder} holds {num_zarrs} zarrs, and {len(images) - num_zarrs} images of "
            "other formats; give those that you mean, such as a quoted pattern"
        )
    return images


def _images_in(folder: str) -> list[str]:
    with reading(folder):
        names = os.listdir(folder)
    return [
        os.path.join(folder, name)
        for name in natural_order(names, ignore_case=True)
        if not name.startswith(".") and _is_image(os.path.join(folder, name))
    ]


def _is_image(path: str) -> bool:
    return path.lower().endswith(_ZARRS) or (is_raster(path) and os.path.isfile(path))


def _is_plain_folder(path: str) -> bool:
    """Whether a path is a folder but no zarr, not even a broken one."""
    if not os.path.isdir(path) or path.rstrip("/").lower().endswith(_ZARRS):
        return False
    return find_node(normal_url(path)) is None


def _is_output(path: str) -> bool:
    if "://" in path or not Path(path, RUN_FOLDER).is_dir():
        return False
    return not is_conversion(Path(path))


def _lies_in(path: str, folder: str | Path) -> bool:
    return "://" not in path and Path(_identity(folder)) in Path(_identity(path)).parents


def _identity(path: str | Path) -> str:
    text = os.fspath(path)
    return normal_url(text) if "://" in text else os.path.realpath(text)
