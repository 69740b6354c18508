"""Numbered objects of an output of bigunet, which are scored in place of its classes."""

from __future__ import annotations

from dataclasses import replace

from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.sources.pairs import Pair
from bigunet.io.sources.source import describe_image
from bigunet.stores.access import find_node, join_url

_CLASSES, _INSTANCES = "labels/classes/", "labels/instances"


def with_objects(pair: Pair, options: EvaluateOptions) -> Pair:
    """The pair with ``labels/instances`` of an output, where objects are to be compared.

    The root of an output shows its classes. Options that say how objects are made, or which
    channel is read, leave the pair as it is.

    Raises
    ------
    BigUNetError
        If an image cannot be opened.
    """
    if options.kind != "instances":
        return pair
    is_made = options.object_class is not None or options.threshold is not None
    return replace(
        pair,
        image=pair.image if is_made or options.channel is not None else _objects_in(pair.image),
        labels=pair.labels if options.connected else _objects_in(pair.labels),
    )


def _objects_in(url: str) -> str:
    """URL of the numbered objects of an output; the same URL for anything else."""
    image = describe_image(url)
    if not isinstance(image, Multiscale) or not image.levels[0].path.startswith(_CLASSES):
        return url
    return url if find_node(image.url, _INSTANCES) is None else join_url(url, _INSTANCES)
