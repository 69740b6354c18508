"""Pairs of an image and its labels: how they are matched, and whether they fit."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from natsort import natsorted, ns

from bigunet.errors import BigUNetError, ImageError, LabelsError
from bigunet.io.files.rasters import is_raster
from bigunet.io.sources.annotations import annotated
from bigunet.io.sources.pair_checks import check_pair
from bigunet.io.sources.source import ImageSource, Source, describe_image, open_source
from bigunet.stores.access import find_node, join_url, normal_url

_NUM_NAMED = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its labels.

    Parameters
    ----------
    image, labels : str
        Absolute paths or URLs.
    """

    image: str
    labels: str


@dataclass(frozen=True, slots=True)
class Called:
    """The words for images and their labels in messages."""

    image: str = "image"
    images: str = "images"
    labels: str = "labels"


_IN_TRAINING = Called()


def find_pairs(
    images: str | Path, labels: str | Path | None = None, *, called: Called = _IN_TRAINING
) -> list[Pair]:
    """Find images and their labels.

    Parameters
    ----------
    images : path
        An image, a folder of images, or a CSV table with columns ``image`` and ``labels``. Paths
        in the table are relative to its folder.
    labels : path, optional
        One of: the labels of the image; a folder with labels for each image, of the same name
        without the suffix; the name of a label image inside each OME-Zarr image, such as
        ``labels/nuclei``. None or ``"-"`` for a table.
    called : Called
        The words of the messages, if these are not images and labels to train from.

    Returns
    -------
    list of Pair
        A folder in natural order (2 before 10), a table in the order of its rows.

    Raises
    ------
    ImageError
        If there is no image, or two have one name.
    LabelsError
        If an image has no labels, or labels have no image.
    """
    address = normal_url(images)
    stated = "" if labels is None else os.fspath(labels)
    if address.lower().endswith(".csv"):
        if stated not in ("", "-"):
            raise LabelsError(
                f"{address} names {called.labels} itself; leave out {stated}, or give -"
            )
        return _pairs_of_table(address, called)
    if stated in ("", "-"):
        raise LabelsError(f"{address} is no CSV table; give {called.labels} as well")
    if _is_image(address):
        return [Pair(address, _labels_of_one(address, stated, called))]
    if os.path.isfile(address):
        raise ImageError(_unread(address))
    if not os.path.isdir(address):
        what = "" if called == _IN_TRAINING else f"the {called.image} "
        known = "give an image, a folder of images or a CSV table"
        if "://" not in address and not os.path.lexists(address):
            raise ImageError(f"{what}{address} does not exist; {known}")
        raise ImageError(f"{what}{address} is no image; {known}")
    return _pairs_of_folders(address, stated, called)


def open_pair(
    pair: Pair,
    *,
    level: int = 0,
    channels: Sequence[int | str] | None = None,
    ignore: Sequence[int] = (),
) -> tuple[ImageSource, Source]:
    """Open an image and its labels, and check that they fit.

    Parameters
    ----------
    pair : Pair
    level : int, optional
        The level of the image. Of the labels, the level of the same shape is read.
    channels : sequence of int or str, optional
        The channels of the image to read; None reads all.
    ignore : sequence of int, optional
        Values of voxels that nobody annotated.

    Returns
    -------
    image : ImageSource
    labels : Source
        As :func:`bigunet.io.sources.annotations.annotated` gives them.

    Raises
    ------
    LabelsError
        If they do not fit, as :func:`bigunet.io.sources.pair_checks.check_pair` says.
    BigUNetError
        If one cannot be opened, or has no such level or channel.
    """
    image = open_source(pair.image, level=level, channels=channels)
    described = describe_image(pair.labels)
    alike = [k for k in range(len(described.levels)) if described.volume_shape(k) == image.shape]
    if alike:
        labels_level = level if level in alike else alike[0]
    else:
        labels_level = min(level, len(described.levels) - 1)
    labels = ImageSource(described, level=labels_level, channels=range(described.num_channels))
    check_pair(image, labels, ignore=ignore)
    return image, annotated(labels, ignore)


def _is_image(url: str) -> bool:
    return is_raster(url) or find_node(url) is not None


def _unread(file: str) -> str:
    return f"{file} is of no kind that is read; give OME-Zarr, a zarr array, TIFF or PNG"


def _labels_of_one(image: str, stated: str, called: Called, base: str = "") -> str:
    """Address of the labels of an image: a path, or a name inside the image."""
    outside = normal_url(stated if "://" in stated or not base else os.path.join(base, stated))
    if _is_image(outside) and (not is_raster(outside) or os.path.isfile(outside)):
        return outside
    if not is_raster(image) and "://" not in stated and not os.path.isabs(stated):
        inside = join_url(image, stated.strip("/"))
        if find_node(inside) is not None:
            return inside
    if os.path.isdir(outside):
        raise LabelsError(
            f"{image} is one {called.image}, {outside} a folder; give its {called.labels}"
        )
    if os.path.isfile(outside):
        raise LabelsError(_unread(outside))
    raise LabelsError(
        f"{image} has no {called.labels} {stated}: neither a file nor inside the {called.image}"
    )


def _pairs_of_folders(folder: str, stated: str, called: Called) -> list[Pair]:
    images = _images_in(folder)
    beside = normal_url(stated)
    if beside == folder:
        raise LabelsError(
            f"{folder} is given as {called.images} and as {called.labels}; give two folders"
        )
    if os.path.exists(beside) and _is_image(beside):
        raise LabelsError(
            f"{folder} is a folder, {beside} one image; give a folder of {called.labels}"
        )
    if os.path.isdir(beside):
        return _matched(folder, images, beside, _images_in(beside), called)
    inside = {stem: join_url(url, stated.strip("/")) for stem, url in images.items()}
    missing = [
        images[stem]
        for stem, url in inside.items()
        if is_raster(images[stem]) or not find_node(url)
    ]
    if missing:
        raise LabelsError(
            f"{len(missing)} of {len(images)} {called.images} in {folder} have no {stated} inside, "
            f"and it is no folder: {_some(missing)}"
        )
    return [Pair(images[stem], url) for stem, url in inside.items()]


def _matched(
    folder: str, images: dict[str, str], beside: str, labels: dict[str, str], called: Called
) -> list[Pair]:
    for have, want, where, what in (
        (images, labels, beside, called.labels),
        (labels, images, folder, called.image),
    ):
        alone = [url for stem, url in have.items() if stem not in want]
        if alone:
            raise LabelsError(
                f"{len(alone)} of {len(have)} have no {what} of the same name in {where}: "
                f"{_some(alone)}"
            )
    return [Pair(url, labels[stem]) for stem, url in images.items()]


def _images_in(folder: str) -> dict[str, str]:
    """Images of a folder by stem, in natural order."""
    urls: dict[str, str] = {}
    for name in natural_order(os.listdir(folder)):
        url = os.path.join(folder, name)
        if name.startswith(".") or not (
            is_raster(name) or (os.path.isdir(url) and find_node(url) is not None)
        ):
            continue
        stem = _stem(name)
        if stem in urls:
            raise ImageError(f"{urls[stem]} and {url} are of one name; keep one of them")
        urls[stem] = url
    if not urls:
        raise ImageError(f"{folder} holds no image: no OME-Zarr, zarr array, TIFF or PNG")
    return urls


def _stem(name: str) -> str:
    """Remove the suffix of a name.

    >>> _stem("a.ome.zarr"), _stem("b.1.png"), _stem("c")
    ('a', 'b.1', 'c')
    """
    stem = os.path.splitext(name)[0] if is_raster(name) or name.endswith(".zarr") else name
    return stem.removesuffix(".ome")


def natural_order(names: Iterable[str], *, ignore_case: bool = False) -> list[str]:
    """Sort names so that 2 comes before 10, and names that differ in zeros only as text.

    >>> natural_order(["10.png", "2.png", "02.png"])
    ['02.png', '2.png', '10.png']
    """
    return natsorted(names, alg=ns.PRESORT | (ns.IGNORECASE if ignore_case else ns.DEFAULT))


def _some(urls: Sequence[str]) -> str:
    names = [os.path.basename(url) for url in urls[:_NUM_NAMED]]
    return ", ".join(names) + (", ..." if len(urls) > _NUM_NAMED else "")


def _pairs_of_table(table: str, called: Called) -> list[Pair]:
    base = os.path.dirname(table)
    try:
        with open(table, newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, skipinitialspace=True)
            columns = [str(name).strip().lower() for name in rows.fieldnames or ()]
            if not {"image", "labels"} <= set(columns):
                raise LabelsError(
                    f"{table} has the columns {', '.join(columns)}; give image and labels"
                )
            rows.fieldnames = columns
            pairs = [
                _pair_of_row(row, base, f"{table}, line {rows.line_num}", called) for row in rows
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"cannot read {table}: {error}") from error
    if not pairs:
        raise LabelsError(f"{table} lists no image")
    return pairs


def _pair_of_row(row: dict[str, str | None], base: str, where: str, called: Called) -> Pair:
    image, labels = ((row[name] or "").strip() for name in ("image", "labels"))
    if not image or not labels:
        raise LabelsError(f"{where}: image is {image!r} and labels are {labels!r}; give both")
    url = normal_url(image if "://" in image else os.path.join(base, image))
    if "://" not in url and not os.path.exists(url):
        raise LabelsError(f"{where}: {url} is missing")
    try:
        return Pair(url, _labels_of_one(url, labels, called, base))
    except BigUNetError as error:
        raise LabelsError(f"{where}: {error}") from error
