"""Publishes outputs: the metadata by which readers find an output are written last.

So an output that can be opened is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import zarr

from bigunet.errors import ImageError, OutputError
from bigunet.io.output.metadata import (
    PROVENANCE_KEY,
    Attributes,
    group_attributes,
    is_listed,
    is_published,
    labels_attributes,
    provenance_attributes,
    root_attributes,
)
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writing import open_group, writing
from bigunet.options.choices import OmeVersion
from bigunet.stores.access import find_node, join_url


def write_discovery_metadata(
    outputs: Sequence[OutputImage], *, provenance: Mapping[str, Any], inside_image: bool = False
) -> None:
    """Write the metadata by which readers find finished outputs; this is the last step of a run.

    The groups of the outputs come first, then the list of labels, then the root. The root shows
    the first label, or the first output if there are no labels.

    Parameters
    ----------
    outputs : sequence of OutputImage
        All outputs of one store, fully written.
    provenance : mapping
        How the outputs were made (model, normalisation, options), as JSON; stored under
        ``"bigunet"``.
    inside_image : bool
        Whether the store is the image that was segmented. Then its root is not changed, labels
        name it as their source, and the provenance goes to the group of each output.

    Raises
    ------
    OutputError
        If there are no outputs, if they have different stores or versions, or if the metadata
        cannot be written.
    """
    if len({(output.store, output.version) for output in outputs}) != 1:
        raise OutputError(
            f"outputs {[(o.store, o.version) for o in outputs]} must be of one store and version"
        )
    labels = [output for output in outputs if output.kind == "label"]
    for output in outputs:
        attributes = group_attributes(output, inside_image=inside_image)
        if inside_image:
            attributes |= provenance_attributes(provenance)
        _update(output, output.group, attributes)
    if labels:
        names = [output.name for output in labels]
        existing = open_group(labels[0].store, "labels", labels[0].version).attrs.asdict()
        _update(labels[0], "labels", labels_attributes(existing, names, labels[0].version))
    if not inside_image:
        first = (labels or list(outputs))[0]
        _update(first, "", root_attributes(first, provenance))


def publish_image(output: OutputImage) -> None:
    """Write the metadata of an image at the root of its store, as the last step of a run.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    _update(output, output.group, group_attributes(output, inside_image=False))


def is_converted(store: str) -> bool:
    """Whether `publish_image` has finished for a store.

    Raises
    ------
    ImageError
        If there are metadata that cannot be read.
    """
    node = find_node(store)
    if not isinstance(node, zarr.Group):
        return False
    attributes: Mapping[str, Any] = node.attrs.asdict()
    return "multiscales" in attributes.get("ome", attributes)


def withdraw_label(store: str, group: str, version: OmeVersion) -> None:
    """Remove a label from the list of labels of its image, before the label is written.

    If there is no list, an empty one is made, so that the image stays valid meanwhile.

    Raises
    ------
    OutputError
        If the list cannot be written.
    """
    folder, _, name = group.rpartition("/")
    with writing(join_url(store, folder)):
        labels = open_group(store, folder, version)
        existing = labels.attrs.asdict()
        labels.attrs.update(labels_attributes(existing, (), version, without=[name]))


def is_complete(store: str, group: str = "") -> bool:
    """Whether `write_discovery_metadata` has finished for a store or a group.

    Parameters
    ----------
    store : str
        Local path of the root group, which may be missing.
    group : str
        Empty for the root; or the group of an output that was written into its source image.

    Raises
    ------
    ImageError
        If there are metadata that cannot be read.
    """
    node = find_node(store, group)
    if not isinstance(node, zarr.Group) or not is_published(node.attrs.asdict()):
        return False
    folder, _, name = group.rpartition("/")
    if folder != "labels":
        return True
    labels = find_node(store, folder)
    return labels is not None and is_listed(labels.attrs.asdict(), name)


def was_published(store: str, group: str) -> bool:
    """Whether a group has the metadata of an output of bigunet; it may be unlisted by now."""
    try:
        node = find_node(store, group)
    except ImageError:
        return False
    return isinstance(node, zarr.Group) and is_published(node.attrs.asdict())


def read_provenance(store: str, group: str = "") -> dict[str, Any]:
    """The provenance of a published output; empty if nothing is published.

    Parameters
    ----------
    store, group : str
        As for `is_complete`.

    Raises
    ------
    ImageError
        If there are metadata that cannot be read.
    """
    if not is_complete(store, group):
        return {}
    node = find_node(store, group)
    provenance = None if node is None else node.attrs.asdict().get(PROVENANCE_KEY)
    return dict(provenance) if isinstance(provenance, Mapping) else {}


def _update(output: OutputImage, path: str, attributes: Attributes) -> None:
    with writing(join_url(output.store, path)):
        open_group(output.store, path, output.version).attrs.update(attributes)
