"""Serves the layers of a scene: which object stands behind which name."""

from __future__ import annotations

from bigunet.viewing.object_values import ClassNames, ObjectValues
from bigunet.viewing.scene import LabelLayer, Scene
from bigunet.viewing.server import ViewerServer
from bigunet.viewing.viewer_state import (
    grey_name,
    label_name,
    probability_name,
    properties_name,
)
from bigunet.viewing.zarr_view import ZarrView


def serve_scene(server: ViewerServer, scene: Scene) -> dict[str, str]:
    """Serve the bytes of all layers of a scene; the URL by the name of each."""
    urls: dict[str, str] = {}
    if scene.grey is not None:
        image = scene.grey.image
        if not scene.grey.looks:
            urls[grey_name(None)] = server.serve(grey_name(None), ZarrView(image, (0, 1, 2)))
        for k in range(len(scene.grey.looks)):
            urls[grey_name(k)] = server.serve(grey_name(k), ZarrView(image, (k,)))
    if scene.probabilities is not None:
        for k in range(scene.probabilities.image.num_channels):
            name = probability_name(k)
            urls[name] = server.serve(name, ZarrView(scene.probabilities.image, (k,)))
    for layer in scene.labels:
        urls |= _serve_labels(server, layer)
    return urls


def _serve_labels(server: ViewerServer, layer: LabelLayer) -> dict[str, str]:
    name = label_name(layer.name)
    urls = {name: server.serve(name, ZarrView(layer.image, is_label=True))}
    values = properties_name(name)
    if layer.values:
        urls[values] = server.serve(values, ClassNames(layer.values))
    elif layer.table is not None:
        urls[values] = server.serve(values, ObjectValues(layer.table))
    return urls
