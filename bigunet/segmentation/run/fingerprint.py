"""The fingerprint of a run: all that decides which bytes it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from bigunet.io.images.identity import Content
from bigunet.model.inference.openvino_module import has_openvino
from bigunet.segmentation.plan.content import CONTENT, as_json, contents_of
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.urls import shown_url

# Two parts of one run may differ in these options: they change no byte of the output.
_FREE_OPTIONS = {"memory_limit", "no_report", "tune"}


@dataclass(frozen=True)
class Fingerprint:
    """What two runs must have in common so that one can continue the other.

    Parameters
    ----------
    settings : mapping of str to JSON values
        Image, model, options, grid and versions.
    contents : mapping of str to Content
        The voxels that the run reads.
    """

    settings: Mapping[str, Any]
    contents: Mapping[str, Content]

    @classmethod
    def of(cls, plan: SegmentPlan, normalisation: FixedNormalisation) -> Fingerprint:
        """Take the fingerprint of a run; it reads the image's files as `contents_of` does.

        Raises
        ------
        ImageError
            If the image or its mask cannot be read.
        """
        return cls(_settings(plan, normalisation), contents_of(plan))

    def to_dict(self) -> dict[str, Any]:
        """The fingerprint as the ledger keeps it."""
        return self.with_content(as_json(self.contents))

    def with_content(self, content: object) -> dict[str, Any]:
        """The fingerprint with the content that another run recorded."""
        return {**self.settings, CONTENT: content}


def _settings(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    level = plan.image.level(plan.level)
    return {
        "image": shown_url(plan.image.url),
        "image_shape": level.shape,
        "image_dtype": level.dtype,
        "axes": [axis.name for axis in plan.image.axes],
        "model": f"{plan.model.description.name} {plan.model.digest[:16]}",
        "normalisation": normalisation.to_dict(),
        **{
            f"option {name}": value
            for name, value in plan.options.to_dict().items()
            if name not in _FREE_OPTIONS
        },
        "objects": None if plan.objects is None else asdict(plan.objects),
        "turns": plan.turns,
        "channels": plan.channels,
        "block_shape": plan.layout.block_shape(0),
        "tile_shape": plan.tiling.tile_shape,
        "receptive_field": asdict(plan.model.receptive_field),
        "bigunet": version("bigunet"),
        "torch": version("torch"),
        "openvino": version("openvino") if has_openvino() else None,
    }
