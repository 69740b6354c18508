"""The command line of a segmentation, from its description."""

from __future__ import annotations

from bigunet.options.option_fields import option_words
from bigunet.segmentation.segment_options import SegmentOptions


def segment_words(
    source: str, target: str | None, model: str, options: SegmentOptions
) -> list[str]:
    """The words after ``bigunet segment`` that ask for a segmentation.

    Parameters
    ----------
    source, target, model : str
        Absolute paths or URLs; ``model`` may be the name of a bundled one.
    options : SegmentOptions
        What differs from the defaults becomes words.

    Examples
    --------
    >>> segment_words("/in.zarr", None, "nuclei", SegmentOptions(level=1, tta=True))
    ['/in.zarr', '--level=1', '--tta']
    """
    places = [source] if target is None else [source, target]
    words = [] if model == "nuclei" else [f"--model={model}"]
    return places + words + option_words(options)
