"""Pictures within a page: as data URIs of bounded size, with a text for those who cannot see."""

from __future__ import annotations

import base64
import io

import numpy as np

# Without it, Pillow would look for WebP in all of its formats, and import them.
from PIL import Image, WebPImagePlugin  # noqa: F401

from bigunet.report.markup import Markup, element

_QUALITIES = (90, 75, 55, 30)


def inline_picture(pixels: np.ndarray, alt: str, *, most_bytes: int, sharp: bool = False) -> Markup:
    """An ``img`` that holds its picture.

    Parameters
    ----------
    pixels : ndarray of uint8, (y, x, 3)
    alt : str
        What the picture shows.
    most_bytes : int
        The most bytes of the file. It is WebP without loss if this is small enough. Otherwise it
        loses detail, and at last resolution.
    sharp : bool
        Whether a browser that enlarges it shows single voxels.
    """
    height, width = pixels.shape[:2]
    text = base64.b64encode(encoded(pixels, most_bytes)).decode()
    style = {"class_": "sharp"} if sharp else {}
    source = f"data:image/webp;base64,{text}"
    return element("img", src=source, alt=alt, width=width, height=height, **style)


def encoded(pixels: np.ndarray, most_bytes: int) -> bytes:
    """The picture as WebP of at most so many bytes, or of 16 × 16 pixels."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    while True:
        # A file without loss has more than half a byte per pixel unless much of it is equal.
        if pixels.size < 8 * most_bytes and len(file := _webp(picture, None)) <= most_bytes:
            return file
        for quality in _QUALITIES:
            if len(file := _webp(picture, quality)) <= most_bytes:
                return file
        if max(picture.size) <= 16:
            return file
        picture = picture.reduce(2)


def _webp(picture: Image.Image, quality: int | None) -> bytes:
    file = io.BytesIO()
    if quality is None:
        picture.save(file, "webp", lossless=True, quality=20, method=1)
    else:
        picture.save(file, "webp", quality=quality, method=2)
    return file.getvalue()
