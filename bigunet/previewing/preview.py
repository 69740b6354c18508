"""Preview an image: its labels, computed where somebody looks at them, and kept for a run."""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from distributed import Client

from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import OptionError
from bigunet.events import Notice, OnEvent
from bigunet.io.images.plates import is_plate
from bigunet.machine.processes import leave_if_imported_again
from bigunet.machine.signals import undisturbed
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.options.option_fields import chosen
from bigunet.previewing.lazy_array import LazyArray
from bigunet.previewing.session import Session, open_session
from bigunet.segmentation.page.repeat import repeating
from bigunet.segmentation.plan.object_choice import choose_outputs
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.request import SegmentRequest, resolve_request
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.urls import shown_url

if TYPE_CHECKING:
    from bigunet.previewing.live_page import LivePage

_NAME = "preview.zarr"
_LOOK_SECONDS = 0.5
_SMALL_BLOCKS = {2: (512, 512), 3: (64, 128, 128)}
_MOST_VOXELS = 2**21
"""Voxels of a block that a CPU computes in about ten seconds."""


class Preview:
    """An image whose labels are computed where they are read; `preview` makes it.

    Close it, or use it in ``with``.

    Parameters
    ----------
    request : SegmentRequest
    session : Session
        The output, with its blocks on request.
    closing : ExitStack
        What is left when the preview is closed.
    position : str
    port : int

    Attributes
    ----------
    array : LazyArray
        The classes: ``preview.array[y0:y1, x0:x1]`` computes their blocks.
    probabilities : LazyArray or None
        The probabilities, if the options ask for them.
    folder : Path
        The output.
    command : str
        The command that computes all other blocks and finishes the output; empty for a temporary
        output, and for a model that was made in Python.
    """

    def __init__(
        self,
        request: SegmentRequest,
        session: Session,
        closing: contextlib.ExitStack,
        *,
        position: str = "",
        port: int = 0,
    ) -> None:
        self._session = session
        self._closing = closing
        self._position, self._port = position, port
        self._page: LivePage | None = None
        self._lock = threading.Lock()
        self.folder = request.place.folder
        self.array = LazyArray(session.outputs["classes"])
        shares = session.outputs.get("probabilities")
        self.probabilities = None if shares is None else LazyArray(shares)
        again = repeating(session.plan, request.place, request.options)
        self.command = f"{again} --resume" if again else ""

    @property
    def url(self) -> str:
        """Address of a page in the browser of this machine, which is served from now on.

        Raises
        ------
        OptionError
            If neuroglancer is not installed, the port is taken, or there is no such position.
        """
        with self._lock:
            if self._page is None:
                # Imported here: whoever reads arrays needs no page.
                from bigunet.previewing.live_page import LivePage
                from bigunet.viewing.position import parse_position

                position = parse_position(self._position)
                page = LivePage(self._session, position=position, port=self._port)
                self._page = self._closing.enter_context(page)
            return self._page.url

    @property
    def progress(self) -> str:
        """How many blocks are done, and the time of each: ``"12 of 340 blocks, 0.4 s each"``."""
        return self._session.pace.line

    def __repr__(self) -> str:
        return f"Preview({self.folder}, {self.num_done} of {self.num_blocks} blocks)"

    @property
    def num_blocks(self) -> int:
        """Number of blocks of the image."""
        return self._session.plan.grid.num_blocks

    @property
    def num_done(self) -> int:
        """Number of blocks that are done, those of earlier runs included."""
        return self._session.blocks.num_done

    def wait(self, stop: threading.Event | None = None) -> None:
        """Wait until ``stop`` is set, or an error ends the blocks.

        Raises
        ------
        BigUNetError
            The error, such as a full disk.
        """
        stop = stop or threading.Event()
        while not stop.wait(_LOOK_SECONDS):
            if (error := self._session.blocks.failure) is not None:
                raise error

    def close(self) -> None:
        """End the workers. What is computed stays, unless the output is temporary."""
        self._closing.close()

    def __enter__(self) -> Preview:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def preview(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    position: str = "",
    port: int = 0,
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    **fields: Unpack[SegmentKeywords],
) -> Preview:
    """Open an image such that its labels are computed where they are read, exact as ever.

    Every block that was computed is kept in the output, as `segment` writes it. So
    ``segment(source, target, existing="resume")`` with the same options goes on from what was
    seen, and writes the same bytes as without a preview.

    Parameters
    ----------
    source : path or URL
        As of `segment`; of a plate, one field.
    target : path, optional
        Path of the output; by default a temporary folder, which is removed at the end.
    model : str, path or Model
        As of `segment`.
    options : SegmentOptions, optional
    client : distributed.Client or ClusterSpec, optional
        As of `segment`.
    existing : {"refuse", "resume", "overwrite"}
        What to do if the target exists.
    position : str
        Voxels in the middle of the page by axis, such as ``"x=1200,y=800"``; else the page begins
        with the whole image.
    port : int
        Port of the page on this machine; labels have the next one. 0 chooses free ones.
    stop : threading.Event, optional
        Ends the wait for workers once it is set.
    on_event : callable, optional
        Receives each event: the stage begins, a block is done, a notice. Blocks come from another
        thread.
    **fields
        Fields of SegmentOptions, such as ``level=1, channels=["DAPI"]``.

    Returns
    -------
    Preview

    Raises
    ------
    BigUNetError
        As `segment`.
    """
    leave_if_imported_again()
    options = chosen(SegmentOptions, options, fields, preview)
    _check_one_image(source)
    with contextlib.ExitStack() as opening:
        place = target
        if target is None:
            place = opening.enter_context(_temporary(existing, on_event))
        request = resolve_request(
            source,
            place,
            model=model,
            options=options,
            workers=client,
            existing=existing,
            part=None,
        )
        _check_outputs(request)
        if target is None:
            request = _with_small_blocks(request)
        session = opening.enter_context(open_session(request, stop=stop, on_event=on_event))
        if target is not None:
            _say_large_blocks(session.plan, on_event)
        opened = Preview(request, session, opening.pop_all(), position=position, port=port)
        if target is None:
            opened.command = ""
        return opened


def _check_outputs(request: SegmentRequest) -> None:
    """Raise OptionError if no classes are written."""
    outputs = choose_outputs(request.model.description, request.options)
    if "classes" not in outputs:
        raise OptionError("a preview shows the classes: give --output classes, too")


def _with_small_blocks(request: SegmentRequest) -> SegmentRequest:
    """The request with blocks that are soon done, if it leaves them open."""
    if request.options.block_shape:
        return request
    small = _SMALL_BLOCKS[request.model.ndim]
    return replace(request, options=replace(request.options, block_shape=small))


def _say_large_blocks(plan: SegmentPlan, on_event: OnEvent | None) -> None:
    """Say how labels come sooner. The blocks stay as they are: a run goes on with them."""
    shape = plan.grid.box((0,) * plan.region.ndim).shape
    if on_event is None or math.prod(shape) <= _MOST_VOXELS:
        return
    sides = ",".join(map(str, _SMALL_BLOCKS[plan.network_axes]))
    text = " × ".join(map(str, shape))
    line = f"a block has {text} voxels: with --block-shape {sides} labels would come sooner"
    on_event(Notice(line))


def _check_one_image(source: str | Path) -> None:
    """Raise OptionError for a plate."""
    if is_plate(source):
        raise OptionError(
            f"{shown_url(str(source))} is a plate: a preview shows one field, such as "
            f"{shown_url(str(source)).rstrip('/')}/A/1/0"
        )


@contextlib.contextmanager
def _temporary(existing: Existing, on_event: OnEvent | None) -> Iterator[Path]:
    """The path of an output that is gone afterwards."""
    if existing != "refuse":
        raise OptionError("there is nothing to go on with or to overwrite without an OUT: give one")
    folder = tempfile.TemporaryDirectory(prefix="bigunet-preview-", ignore_cleanup_errors=True)
    try:
        if on_event is not None:
            on_event(Notice(f"without OUT, labels are kept in {folder.name} until the end"))
        yield Path(folder.name, _NAME)
    finally:
        with undisturbed():
            folder.cleanup()
