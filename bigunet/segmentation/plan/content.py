"""Fingerprints of the voxels that a run reads, which show whether an image changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigunet.errors import ImageError, ResumeError
from bigunet.io.files.opening import fingerprint_of, open_image
from bigunet.io.images.identity import Content
from bigunet.segmentation.plan.segment_plan import SegmentPlan

CONTENT = "content"
"""Key of these fingerprints in the fingerprint of a run."""


def contents_of(plan: SegmentPlan) -> dict[str, Content]:
    """Fingerprints of the voxels that a run reads, of the image and of its mask.

    Raises
    ------
    ImageError
        If image or mask cannot be read.
    """
    level = plan.level
    region = plan.tiling.read_box(plan.region)
    # The table has the grey values of all channels.
    channels = range(plan.image.num_channels) if plan.writes_table else plan.channels
    contents = {"image": fingerprint_of(plan.image, level=level, channels=channels, region=region)}
    if plan.options.mask:
        mask = open_image(plan.options.mask, usual_axes=True)
        contents |= {
            f"mask level {k}": fingerprint_of(mask, level=k) for k in range(len(mask.levels))
        }
    return contents


def as_json(contents: Mapping[str, Content]) -> dict[str, Any]:
    """The fingerprints as the ledger keeps them."""
    return {name: content.to_dict() for name, content in contents.items()}


def check_unchanged(before: Mapping[str, Content], now: Mapping[str, Content]) -> None:
    """Raise an error if the voxels that a run reads changed before its first block.

    Raises
    ------
    ImageError
        If one differs.
    """
    for name, content in now.items():
        difference = content.difference(before[name].to_dict())
        if difference:
            raise ImageError(
                f"{difference} after its grey range was measured, while the workers were started: "
                "run the same command again"
            )


def check_contents(target: Path, before: object, now: Mapping[str, Content]) -> None:
    """Raise an error if the voxels that a run reads changed since the run began.

    Parameters
    ----------
    target : Path
        The output, for messages.
    before : object
        The fingerprints in the ledger, as `as_json` gave them when the run began.
    now : mapping of str to Content

    Raises
    ------
    ResumeError
        If one differs, or the ledger has no fingerprints.
    """
    if not isinstance(before, dict) or not all(isinstance(v, dict) for v in before.values()):
        raise ResumeError(
            f"cannot resume {target}: it was begun by a bigunet that did not record the content of "
            "its image; begin anew with --overwrite"
        )
    for name, content in now.items():
        difference = content.difference(before.get(name, {}))
        if difference:
            raise ResumeError(
                f"cannot go on with {target}: {difference} since it was begun, and labels of two "
                "images would mix; put the earlier one back, or begin anew with --overwrite"
            )
