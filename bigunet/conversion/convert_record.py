"""The record of a conversion: which image it copies, and which blocks are done."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from bigunet.conversion.convert_plan import ConvertPlan, shapes_of
from bigunet.engine.ledger import Ledger
from bigunet.engine.ledger_lines import Judge, Record
from bigunet.errors import OutputError
from bigunet.io.files.opening import fingerprint_of
from bigunet.io.images.identity import Content
from bigunet.options.choices import Existing
from bigunet.options.option_fields import option_fields
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.content import CONTENT, as_json, check_contents
from bigunet.segmentation.run.clearing import clear, make_ledger_folder
from bigunet.segmentation.run.progress import CONVERSION
from bigunet.segmentation.run.stages import stage_name
from bigunet.segmentation.run.target import check_target
from bigunet.urls import shown_url

COPY = "copy"


def num_blocks(plan: ConvertPlan) -> dict[str, int]:
    """Number of blocks of each stage, by the name of the stage."""
    groups = range(len(plan.layout.groups))
    return {copy_stage(k): math.prod(plan.layout.grid_shape(k)) for k in groups}


def copy_stage(group: int) -> str:
    """Name of the stage that writes a group of levels."""
    return stage_name(group) if group else COPY


def check_place(place: Place, image: str, existing: Existing) -> None:
    """Raise an error if a conversion may not write to a place; only a look.

    Raises
    ------
    OutputError, OptionError
        As `check_target`; or if labels were written into the image, which would be lost.
    """
    check_target(place, image, existing=existing, converts=True)
    labels = place.folder / "labels"
    if existing == "overwrite" and labels.exists():
        raise OutputError(f"{labels} would be lost; remove it yourself, or give another OUT")


@dataclass(frozen=True)
class ConvertRecord:
    """Opens the ledger of a conversion, and refuses another run's.

    Parameters
    ----------
    plan : ConvertPlan
    place : Place
    content : Content
        Fingerprint of the image when the conversion was planned.
    """

    plan: ConvertPlan
    place: Place
    content: Content

    @classmethod
    def of(cls, plan: ConvertPlan, place: Place) -> ConvertRecord:
        """The record of a conversion; nothing is written yet."""
        return cls(plan, place, fingerprint_of(plan.image))

    @contextmanager
    def opened(self, existing: Existing) -> Iterator[Ledger]:
        """Begin the output, or continue it. The ledger is locked until it is closed.

        Raises
        ------
        OutputError, OptionError
            If the place may not be written; BusyError if another process writes it.
        ResumeError
            If another run began the output, or the image changed since.
        """
        check_place(self.place, self.plan.image.url, existing)
        path = make_ledger_folder(self.place)
        with Ledger(path, anew=existing == "overwrite", judge=self._judge()) as ledger:
            if ledger.is_empty:
                clear(self.place)
                ledger.begin(self._fingerprint(as_json({"image": self.content})))
            else:
                self._check(ledger)
            yield ledger

    def check_content(self, ledger: Ledger) -> None:
        """Raise ResumeError if the image changed since the conversion began."""
        now = {"image": fingerprint_of(self.plan.image)}
        check_contents(self.place.folder, ledger.fingerprint.get(CONTENT), now)

    def _check(self, ledger: Ledger) -> None:
        begun = ledger.fingerprint
        ledger.check(self._fingerprint(begun.get(CONTENT)))
        check_contents(self.place.folder, begun.get(CONTENT), {"image": self.content})
        ledger.check_records()

    def _fingerprint(self, content: object) -> dict[str, Any]:
        image, options = self.plan.image, self.plan.options
        return {
            "verb": CONVERSION,
            "image": shown_url(image.url),
            "image_shape": image.levels[0].shape,
            "image_dtype": image.levels[0].dtype,
            "channels": image.channel_names,
            **{
                f"option {one.name}": getattr(options, one.name)
                for one in option_fields(type(options))
            },
            "axes": [axis.name for axis in image.axes],
            "block_shape": self.plan.layout.block_shape(0),
            "levels": shapes_of(self.plan.layout),
            "bigunet": version("bigunet"),
            CONTENT: content,
        }

    def _judge(self) -> Judge:
        sizes = num_blocks(self.plan)

        def judge(stage: str, block: int, record: Record) -> str:
            if stage not in sizes:
                return f"unknown stage {stage[:40]!r}"
            if block >= sizes[stage]:
                return f"block {block}, but {stage} has {sizes[stage]}"
            files = record.get("files")
            if not isinstance(files, list) or len(files) != 2:
                return "no count of files"
            extremes = record.get("extremes")
            is_whole = isinstance(extremes, list) and len(extremes) == self.plan.image.num_channels
            return "no grey values" if stage == COPY and not is_whole else ""

        return judge
