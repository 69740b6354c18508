"""The command that asks for the same segmentation again, and the versions that did it."""

from __future__ import annotations

import platform
import shlex
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from bigunet.model.files.names import bundled_models
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_words import segment_words
from bigunet.urls import shown_url

_PACKAGES = ("bigunet", "torch", "numpy", "zarr", "dask", "distributed", "openvino")


def repeating(plan: SegmentPlan, place: Place, options: SegmentOptions) -> str:
    """The command, quoted for a shell, without passwords and tokens.

    It is empty for a model that was made in Python, which no command can load.

    Parameters
    ----------
    plan : SegmentPlan
    place : Place
    options : SegmentOptions
        Those that the user gave.
    """
    if not plan.model.path:
        return ""
    names = {str(path): name for name, path in bundled_models().items()}
    model = names.get(plan.model.path, plan.model.path)
    asked = replace(
        options, mask=shown_url(options.mask), grey_range_of=shown_url(options.grey_range_of)
    )
    if place.inside_image or place.version == "0.5":
        asked = replace(asked, ome_version="auto")
    target = None if place.inside_image else str(place.folder)
    words = segment_words(shown_url(plan.image.url), target, model, asked)
    return shlex.join(["bigunet", "segment", *words])


def versions() -> list[tuple[str, str]]:
    """Names and versions of the software of this process."""
    found = [("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
