"""``bigunet segment`` of several images or fields: what its paths mean, and the messages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click
from bigunet_cli.flag_words import with_flags
from bigunet_cli.series_bar import SeriesBar
from bigunet_cli.stopping import asked_to_end
from bigunet_cli.words import counted, print_json, say, summary

from bigunet.errors import BigUNetError, OptionError
from bigunet.io.images.limits import some_of
from bigunet.io.images.plates import Plate
from bigunet.segmentation.image_list import example_of, is_several
from bigunet.segmentation.many_images import segment_images
from bigunet.segmentation.plate_fields import local_plate, segment_fields
from bigunet.segmentation.plate_table import plate_table_file
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.well_choice import chosen_fields


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
    sources: tuple[str, ...],
    folder: str,
    arguments: dict[str, Any],
    *,
    table: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Every image, with a line for each; exit 1 if one of them failed."""
    arguments |= {"table": table}
    with _Report("image", quiet=quiet, as_json=as_json, table=table) as report:
        report.tell(
            segment_images(sources, folder, **arguments, stop=report.stop, on_event=report.progress)
        )


def segment_plate(source: str, arguments: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    """The fields of a plate, with a line for each; exit 1 if one of them failed.

    The arguments have the names of wells and fields, too.
    """
    wells, fields = arguments.pop("wells"), arguments.pop("fields")
    plate = chosen_fields(local_plate(source), wells, fields)
    for note in plate.notes:
        say(f"Warning: {note}")
    missing = list(plate.missing)
    with _Report(
        "field",
        quiet=quiet,
        as_json=as_json,
        plate=plate,
        table=arguments["table"],
        missing=missing,
    ) as report:
        report.tell(segment_fields(plate, **arguments, stop=report.stop, on_event=report.progress))


@dataclass
class Counted:
    """Objects of several images together.

    Parameters
    ----------
    num_objects : int
    num_images : int
        Images of which the objects were numbered.
    num_tables : int
        Images that have a table of their objects.
    """

    num_objects: int = 0
    num_images: int = 0
    num_tables: int = 0

    def add(self, report: SegmentReport) -> None:
        """Count the objects of one more image."""
        if report.objects is not None:
            self.num_objects += report.objects.num_objects
            self.num_images += 1
            self.num_tables += bool(report.table)

    def lines(self, kind: str, num_all: int) -> list[str]:
        """A line about the objects, and about images without; none if none were numbered."""
        images = counted(self.num_images, kind)
        if self.num_images < num_all:
            images = f"{self.num_images} of {num_all} {kind}s"
        return [f"objects: {self.num_objects:,} in {images}"] if self.num_images else []


class _Report:
    """What the command says of several images: a line for each, and the failures at the end.

    Parameters
    ----------
    kind : str
        Word for an image: ``"field"`` or ``"image"``.
    quiet, as_json : bool
    table : str, optional
        File of the table of all, if one is asked for.
    plate : Plate, optional
        The plate that has a table of its own, too.
    **more
        Further values of the JSON object.
    """

    def __init__(
        self,
        kind: str,
        *,
        quiet: bool,
        as_json: bool,
        table: str | None = None,
        plate: Plate | None = None,
        **more: Any,
    ) -> None:
        self._kind, self._quiet, self._as_json, self._more = kind, quiet, as_json, more
        self._table, self._plate = table, plate
        self._context = contextlib.ExitStack()

    def __enter__(self) -> _Report:
        bar = SeriesBar(self._kind, shown=not self._quiet)
        self.progress = self._context.enter_context(bar)
        self.stop = self._context.enter_context(asked_to_end())
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def tell(self, outcomes: Iterable[tuple[str, SegmentReport | BigUNetError]]) -> None:
        """Print a line for each outcome, and the failures again at the end; exit 1 for them."""
        results: dict[str, Any] = {}
        total = Counted()
        for name, outcome in outcomes:
            if isinstance(outcome, BigUNetError):
                results[name] = {"error": " ".join(_in_flags(outcome).split())}
                self.progress.say(f"Error: {self._kind} {name}: {results[name]['error']}")
                continue
            results[name] = outcome.to_dict()
            total.add(outcome)
            if not self._quiet:
                text = "; ".join(summary(outcome).splitlines())
                self.progress.say(f"{self._kind} {name}: {text}")
        self._context.close()
        tables = self._tables() if total.num_tables else []
        if self._as_json:
            objects = {"objects": total.num_objects, "tables": tables} if total.num_images else {}
            print_json({f"{self._kind}s": results, **objects, **self._more})
        if not self._quiet:
            for line in (
                *total.lines(self._kind, len(results)),
                *(f"table: {path}" for path in tables),
            ):
                say(line)
        failed = [name for name, result in results.items() if set(result) == {"error"}]
        if failed:
            say(
                f"Error: {len(failed)} of {len(results)} {self._kind}s failed "
                f"({some_of(failed, len(failed))}); the others are done"
            )
            sys.exit(1)

    def _tables(self) -> list[str]:
        """Paths of the tables that have the objects of all."""
        in_plate = plate_table_file(self._plate) if self._plate else None
        return [str(path) for path in (in_plate, self._table) if path]


def _in_flags(error: BigUNetError) -> str:
    """The message of an error, with options named by the flags of the command."""
    context = click.get_current_context(silent=True)
    return str(error) if context is None else with_flags(str(error), context.command)
