"""What a run reads, as fingerprints, and whether it is still the same; decides no options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigunet.errors import ResumeError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.identity import Content, content_of
from bigunet.segmentation.plan.segment_plan import SegmentPlan

CONTENT = "content"
"""Name of these fingerprints in the fingerprint of a run."""


def contents_of(plan: SegmentPlan) -> dict[str, Content]:
    """Fingerprints of the voxels of the image, and of its mask, that a run reads.

    Raises
    ------
    ImageError
        If they cannot be read.
    """
    level = plan.level
    region = plan.tiling.read_box(plan.region)
    found = {"image": content_of(plan.image, level=level, channels=plan.channels, region=region)}
    if plan.options.mask:
        mask = open_multiscale(plan.options.mask, usual_axes=True)
        found |= {f"mask level {k}": content_of(mask, level=k) for k in range(len(mask.levels))}
    return found


def as_json(contents: Mapping[str, Content]) -> dict[str, Any]:
    """The fingerprints as the ledger keeps them."""
    return {name: content.to_dict() for name, content in contents.items()}


def check_contents(target: Path, before: object, now: Mapping[str, Content]) -> None:
    """See that what a run reads is what it read when it was begun.

    Parameters
    ----------
    target : Path
        The output, for messages.
    before : object
        What `as_json` gave then, out of the ledger.
    now : mapping of str to Content

    Raises
    ------
    ResumeError
        If it changed, or the ledger does not say what it was.
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
