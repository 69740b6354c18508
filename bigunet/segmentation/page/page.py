"""Writes the page of a run's report: one file beside the ledger that needs no other."""

from __future__ import annotations

import logging
from pathlib import Path

from bigunet.events import OnEvent
from bigunet.machine.files import replacing
from bigunet.report.markup import Markup, element, section
from bigunet.report.page_frame import page
from bigunet.segmentation.notices import warn
from bigunet.segmentation.page.block_times import BlockTimes, records_of
from bigunet.segmentation.page.count_sections import classes_section, grey_section, model_section
from bigunet.segmentation.page.picture_sections import PictureSections
from bigunet.segmentation.page.repeat import repeating, versions
from bigunet.segmentation.page.shown_pixels import ShownPixels
from bigunet.segmentation.page.time_section import duration, time_section
from bigunet.segmentation.place import Place
from bigunet.segmentation.report_file import page_path
from bigunet.segmentation.run.outputs import describe_outputs
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.urls import shown_url, without_secrets

logger = logging.getLogger(__name__)


def write_page(
    report: SegmentReport,
    place: Place,
    options: SegmentOptions,
    on_event: OnEvent | None,
    *,
    called: str = "",
) -> Path | None:
    """Write the page of a finished run. A run never fails for it: an error is one warning.

    Parameters
    ----------
    report : SegmentReport
    place : Place
    options : SegmentOptions
        Those that the user gave.
    on_event : callable or None
        Receives the warning; without it, it goes to the log.
    called : str
        What the page calls an image that was an array; empty for its path.

    Returns
    -------
    Path or None
        None if it could not be written.
    """
    path = page_path(place.folder)
    try:
        text = page_text(report, place, options, called)
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace")
    except Exception as error:
        # The output is finished and right, whatever is wrong with its page.
        logger.debug("the page of the report failed", exc_info=True)
        words = " ".join(str(error).split()) or type(error).__name__
        warn(f"the output is finished, but not the page of its report: {words}", on_event)
        return None
    return path


def page_text(
    report: SegmentReport, place: Place, options: SegmentOptions, called: str = ""
) -> str:
    """The whole page of a finished run."""
    plan = report.plan
    id_type = report.objects.id_type if report.objects else ""
    pixels = ShownPixels(plan, describe_outputs(plan, place, id_type=id_type))
    leading = pixels.chosen_plane()
    pictures = PictureSections(pixels, report.normalisation, leading)
    image = called or shown_url(plan.image.url)
    name = image.rstrip("/").rpartition("/")[2] or image
    return page(
        f"Segmentation of {name}",
        _head(report, name, image),
        pictures.overview(),
        pictures.zooms(),
        classes_section(report),
        grey_section(report, pixels.sample(leading)),
        model_section(report),
        time_section(BlockTimes.of(records_of(place.folder)), plan.grid.shape),
        _origin(report, "" if called else repeating(plan, place, options)),
    )


def _head(report: SegmentReport, name: str, image: str) -> Markup:
    """Title, one sentence, and the warnings of the run."""
    plan = report.plan
    shape = " × ".join(f"{n:,}" for n in plan.region.shape)
    axes = ", ".join(plan.image.volume_axes)
    blocks = "1 block" if plan.grid.num_blocks == 1 else f"{plan.grid.num_blocks:,} blocks"
    lead = f"{shape} voxels ({axes}) in {blocks}, by the model {plan.model.description.name}."
    done = report.blocks_done
    if report.already_finished:
        lead += " An earlier run computed it."
    elif done < plan.grid.num_blocks:
        lead += f" The last run computed {done:,} of the blocks, in {duration(report.seconds)}."
    else:
        lead += f" It took {duration(report.seconds)}."
    lines = [without_secrets(line) for line in (*plan.image.notes, *report.fit.warnings)]
    notes = [element("p", element("strong", "Warning: "), line, class_="note") for line in lines]
    paths = element("p", f"From {image} to {without_secrets(report.output)}", class_="soft")
    title = element("h1", f"Segmentation of {name}")
    return element("header", title, element("p", lead, class_="lead"), paths, *notes)


def _origin(report: SegmentReport, command: str) -> Markup:
    """The command that asks for the same again, and the versions that did it."""
    if command:
        again = element(
            "p", "This command gives the same labels; add --overwrite, or give another output:"
        )
        parts = [again, element("pre", element("code", command))]
    else:
        why = "The image or the model was made in Python, so no command can repeat the run."
        parts = [element("p", why)]
    rows = [*versions(), ("computed by", f"{report.backend} on {report.device}".strip())]
    cells = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in rows
        if report.device or name != "computed by"
    ]
    return section("How it was made", *parts, element("table", element("tbody", *cells)))
