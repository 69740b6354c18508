"""Which options of a segmentation say something of an array."""

from __future__ import annotations

from bigunet.errors import OptionError
from bigunet.segmentation.segment_options import SegmentOptions


def check_array_options(options: SegmentOptions) -> None:
    """Raise OptionError for options that say nothing of an array."""
    if options.skip_empty:
        raise OptionError("skip_empty is for stored chunks; give a mask, or leave it out")
    if options.level not in (0, "auto"):
        raise OptionError(f"level {options.level}: an array has level 0 alone; leave it out")
