"""Refuses a stained section in transmitted light for a model of bright objects on dark ground."""

from __future__ import annotations

from bigunet.errors import OptionError
from bigunet.segmentation.plan.fit import is_brighter, share_of
from bigunet.segmentation.plan.normalisation import Bulk, FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan


def check_stain(plan: SegmentPlan, normalisation: FixedNormalisation, bulk: Bulk) -> None:
    """Refuse an RGB image of bright ground, unless the user states the grey range.

    Other images that are brighter than those of the training get a warning. In an RGB image this
    is nearly always tissue in a dye, such as H&E: labels and a table would look right, and be
    wrong.

    Raises
    ------
    OptionError
        If so; it says both grey ranges that the user may have meant.
    """
    usual = plan.model.description.grey_median
    if not plan.image.is_rgb or usual is None or plan.options.grey_range:
        return
    values = normalisation.values
    for channel, low, high, seen in zip(plan.channels, values.low, values.high, bulk.channels):
        if is_brighter(plan.model, low, high, seen):
            raise OptionError(
                f"channel {channel} {plan.image.channel_names[channel]!r} of the RGB image is "
                f"bright where model {plan.model.description.name!r} expects dark ground (median "
                f"at {share_of(seen[1], low, high):.2f} of the grey range, in its training "
                f"{usual[0]:.2f} to {usual[1]:.2f}), as in a stained section: give another model, "
                f"--grey-range {high:g}:{low:g} to exchange bright and dark, or --grey-range "
                f"{low:g}:{high:g} to segment it as it is"
            )
