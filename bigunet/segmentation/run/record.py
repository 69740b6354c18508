"""The record of a run: opens its ledger and those of its parts, and refuses another run's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bigunet.engine.ledger import Ledger
from bigunet.engine.ledger_lines import Judge
from bigunet.errors import ResumeError
from bigunet.machine.locks import shared_lock
from bigunet.options.choices import Existing
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.content import CONTENT, check_contents, check_unchanged
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.clearing import clear, make_ledger_folder, withdraw
from bigunet.segmentation.run.fingerprint import Fingerprint
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.record_checks import judge_of
from bigunet.segmentation.run.record_files import ledger_path, part_ledgers
from bigunet.segmentation.run.target import check_target


@dataclass(frozen=True)
class RunRecord:
    """The record of an output: which run writes it, and which of its blocks are done.

    Parameters
    ----------
    place : Place
    fingerprint : Fingerprint
        Of the run at hand.
    normalisation : FixedNormalisation
    image : str
        Address of the image that is segmented.
    judge : callable
        Says what is wrong with the record of a block.
    """

    place: Place
    fingerprint: Fingerprint
    normalisation: FixedNormalisation
    image: str
    judge: Judge

    @classmethod
    def of(cls, place: Place, plan: SegmentPlan, normalisation: FixedNormalisation) -> RunRecord:
        """The record of a run; nothing is written yet.

        Raises
        ------
        ImageError
            If the image or its mask cannot be read.
        """
        fingerprint = Fingerprint.of(plan, normalisation)
        return cls(place, fingerprint, normalisation, plan.image.url, judge_of(plan))

    def renewed(self, plan: SegmentPlan) -> RunRecord:
        """The record of the same run when its workers are there, with the tiles of ``plan``.

        The grey range was measured before the workers were there, and they may have waited in a
        queue for hours.

        Raises
        ------
        ImageError
            If the image or its mask changed since, or cannot be read.
        """
        now = Fingerprint.of(plan, self.normalisation)
        check_unchanged(self.fingerprint.contents, now.contents)
        return replace(self, fingerprint=now)

    def open(self, existing: Existing) -> Ledger:
        """Begin the output, or continue it. The ledger is locked until it is closed.

        Raises
        ------
        OutputError, OptionError
            As `check_target`; BusyError if another process writes the output.
        ResumeError
            If another run began the output, or the ledger is damaged.
        """
        check_target(self.place, self.image, existing=existing)
        ledger = Ledger(
            make_ledger_folder(self.place),
            anew=existing == "overwrite",
            beside=lambda: part_ledgers(self.place.folder),
            judge=self.judge,
        )
        try:
            if ledger.is_empty:
                clear(self.place)
                ledger.begin(self.fingerprint.to_dict())
            else:
                self._check(ledger)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def join(self) -> bool:
        """Begin an output that parts share, unless another part did; whether it has this plan.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        path = make_ledger_folder(self.place)
        if not path.exists():
            withdraw(self.place)
            if Ledger.begin_once(path, self.fingerprint.to_dict()):
                return True
        # The content is compared later, when the part opens its own ledger.
        content = Ledger.run_of(path).get(CONTENT)
        return Ledger.is_of(path, self.fingerprint.with_content(content))

    @contextmanager
    def open_part(self, part: Part) -> Iterator[Ledger]:
        """Open the ledger of a part. Meanwhile nobody can begin the run anew or finish it.

        Raises
        ------
        BusyError
            If another process runs this part, or the whole run.
        ResumeError
            If another run began the output.
        """
        target, path = self.place.folder, make_ledger_folder(self.place)
        own = path.with_name(part.ledger_name)
        with shared_lock(path, target):
            begun = Ledger.run_of(path)
            if not begun:
                raise ResumeError(
                    f"{target} was to be begun anew, which was cut off: finish that with --resume "
                    "and no --part, or remove it"
                )
            with Ledger(own, beside=lambda: self._ledgers_beside(own), judge=self.judge) as ledger:
                if ledger.is_empty:
                    ledger.begin(self.fingerprint.with_content(begun.get(CONTENT)))
                self._check(ledger)
                yield ledger

    def _ledgers_beside(self, own: Path) -> list[Path]:
        target = self.place.folder
        return [path for path in (ledger_path(target), *part_ledgers(target)) if path != own]

    def _check(self, ledger: Ledger) -> None:
        """Raise ResumeError if the ledger is another run's, or holds an impossible record."""
        begun = ledger.fingerprint
        now = self.fingerprint.with_content(begun.get(CONTENT))
        # A changed image also has another grey range. The message about the changed file says
        # more, so the grey range is compared last.
        ledger.check({**now, "normalisation": begun.get("normalisation")})
        check_contents(self.place.folder, begun.get(CONTENT), self.fingerprint.contents)
        ledger.check(now)
        ledger.check_records()
