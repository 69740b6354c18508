"""Describes an image, a plate, a model or an output as plain data."""

from __future__ import annotations

import os
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.opening import open_image
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.images.plates import Plate, open_plate
from bigunet.io.output.publish import is_converted, read_provenance
from bigunet.model.files.names import bundled_models
from bigunet.model.foreign.kinds import foreign_kind
from bigunet.model.packages.package_files import package_at
from bigunet.segmentation.place import INSIDE_GROUP
from bigunet.segmentation.run.progress import is_conversion, read_progress
from bigunet.urls import shown_url

if TYPE_CHECKING:
    from bigunet.model.model import Model


def info(path: str | Path, *, axes: str = "", trust: bool = False) -> dict[str, Any]:
    """Describe an image, a plate, a model or an output of bigunet.

    Parameters
    ----------
    path : path, URL, or name of a bundled model
        A model may be a network of another tool, as in `load_model`.
    axes : str
        Letters of the axes, such as ``"yxc"``, for an image that does not state them.
    trust : bool
        Whether a model may run code, as in `load_model`.

    Returns
    -------
    dict
        JSON-ready, with ``kind``: "image", "plate", "model", "output" or "unfinished output".
        An image with labels of bigunet inside has a ``segmentation``. ``warnings`` are about how an
        image or a plate was read. ``missing`` are the fields that a plate lists but does not store.

    Raises
    ------
    BigUNetError
        If the path is none of these.
    """
    if _is_model(path):
        # Imported here: images need no torch.
        from bigunet.model.files.model_file import load_model

        # With blend, so that a network that is not exact is described, too.
        return {"kind": "model", **describe_model(load_model(path, trust=trust, blend=True))}
    _check_there(os.fspath(path))
    progress = read_progress(Path(path))
    if progress and not (is_conversion(Path(path)) and is_converted(str(path))):
        made = read_provenance(str(path))
        if not made:
            return {"kind": "unfinished output", "path": str(path), **progress}
        image = describe_image(open_image(path))
        return {"kind": "output", **image, "made": made, "report": progress["report"]}
    try:
        opened = open_image(path, axes=axes)
        return {"kind": "image", **describe_image(opened), **_segmentation(opened)}
    except ImageError as error:
        try:
            plate = open_plate(path)
        except ImageError:
            raise error from None
        return {"kind": "plate", "path": shown_url(path), **describe_plate(plate)}


def _is_model(path: str | Path) -> bool:
    if str(path) in bundled_models() or str(path).endswith(".safetensors"):
        return True
    return package_at(path) is not None or foreign_kind(path) is not None


def _check_there(path: str) -> None:
    """Raise ImageError if a name is no file, no folder and no bundled model."""
    if os.path.exists(FileSeries.of(path).path) or "/" in path:
        return
    bundled = list(bundled_models())
    alike = get_close_matches(path, bundled, n=1)
    meant = f"; did you mean {alike[0]}?" if alike else ""
    raise ImageError(
        f"{path} does not exist here, and is no bundled model (bundled: "
        f"{', '.join(bundled) or 'none'}){meant}"
    )


def _segmentation(image: ImageDescription) -> dict[str, Any]:
    """A description of the labels that bigunet wrote into the image; empty without such labels."""
    place = Path(image.url, INSIDE_GROUP)
    progress = read_progress(place)
    if not progress:
        return {}
    made = read_provenance(image.url, INSIDE_GROUP)
    if not made:
        return {"segmentation": {"path": str(place), "finished": False, **progress}}
    report = progress["report"]
    return {"segmentation": {"path": str(place), "finished": True, "made": made, "report": report}}


def _storage(image: ImageDescription) -> dict[str, Any]:
    """What an image is stored as, and what else lies in its file."""
    if isinstance(image, Multiscale):
        return {"ome_version": image.version, "zarr_format": image.zarr_format}
    others = image.others if isinstance(image, FileImage) else ()
    return {"other_images": list(others)} if others else {}


def describe_image(image: ImageDescription) -> dict[str, Any]:
    """Axes, levels and channels of an image; a channel without a name is shown as its index."""
    unnamed = [k for k, name in enumerate(image.channel_names) if not name]
    unnamed = unnamed if image.num_channels > 1 else []
    return {
        "path": shown_url(image.url),
        **_storage(image),
        "axes": [asdict(axis) for axis in image.axes],
        "channels": list(image.shown_channels),
        **({"channels_without_name": unnamed} if unnamed else {}),
        **({"rgb": True} if image.is_rgb else {}),
        "levels": [asdict(level) for level in image.levels],
        **({"warnings": list(image.notes)} if image.notes else {}),
    }


def describe_plate(plate: Plate) -> dict[str, Any]:
    """The stored fields of a plate, and the fields that it lists but does not store."""
    warnings = {"warnings": list(plate.notes)} if plate.notes else {}
    return {"fields": list(plate.fields), "missing": list(plate.missing), **warnings}


def describe_model(model: Model) -> dict[str, Any]:
    """The description of a model, its number of weights, and its receptive field."""
    return {
        **model.description.to_dict(),
        "path": model.path,
        "sha256": model.digest,
        "weights": sum(p.numel() for p in model.module.parameters()),
        **_reach(model),
        "scores": model.scores,
    }


def _reach(model: Model) -> dict[str, Any]:
    """What an output of a model depends on."""
    if not model.exact:
        return {"exact": False, "tile": list(model.tile_shape)}
    field = model.receptive_field
    return {
        "halo": list(field.halo),
        "stride": list(field.stride),
        "border": "zero-padded" if model.zero_padded else "valid",
    }
