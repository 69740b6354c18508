"""``bigunet segment`` of several images: what its paths mean, and the message about each image."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from bigunet_cli.block_bar import BlockBar
from bigunet_cli.stopping import asked_to_end
from bigunet_cli.words import print_json, say, summary

from bigunet.errors import BigUNetError, OptionError
from bigunet.segmentation.image_list import example_of, is_several
from bigunet.segmentation.many_images import segment_images


def one_image(paths: tuple[str, ...]) -> tuple[str, str | None]:
    """IN and OUT of a command without ``--into``.

    Raises
    ------
    UsageError
        If there are more paths.
    OptionError
        If IN stands for several images.
    """
    if len(paths) > 2:
        raise click.UsageError(
            f"{len(paths)} paths are too many for IN and OUT; give --into FOLDER to segment each "
            "image into FOLDER/NAME.zarr"
        )
    source, *rest = paths
    if is_several(source):
        what = (
            "is neither a zarr array nor a zarr group, but holds images"
            if os.path.isdir(source)
            else "stands for several images"
        )
        raise OptionError(
            f"{source} {what}; give one of them, such as {example_of(source)}, or --into FOLDER to "
            "segment each into FOLDER/NAME.zarr"
        )
    return source, rest[0] if rest else None


def segment_many(
    sources: tuple[str, ...], folder: str, arguments: dict[str, Any], *, quiet: bool, as_json: bool
) -> None:
    """Every image, one after the other, with a line for each; exit 1 if one of them failed."""
    results: dict[str, Any] = {}
    failed = 0
    with BlockBar(shown=not quiet) as progress, asked_to_end() as stop:
        outcomes = segment_images(sources, folder, **arguments, stop=stop, on_event=progress)
        for image, outcome in outcomes:
            if isinstance(outcome, BigUNetError):
                failed += 1
                results[image] = {"error": " ".join(str(outcome).split())}
                say(f"Error: image {image}: {results[image]['error']}")
                continue
            results[image] = outcome.to_dict()
            if not quiet:
                say(f"image {image}: {'; '.join(summary(outcome).splitlines())}")
    if as_json:
        print_json({"images": results})
    if failed:
        say(f"Error: {failed} of {len(results)} images failed; the others are done")
        sys.exit(1)
