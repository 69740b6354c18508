"""The report of a segmentation, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bigunet.options.html_repr import html_repr
from bigunet.options.short_repr import counted, line_repr, shown_shape, shown_shares
from bigunet.segmentation.instances.object_summary import ObjectSummary
from bigunet.segmentation.plan.fit import Fit
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.urls import shown_url, without_secrets


@dataclass(frozen=True)
class SegmentReport:
    """What a run did.

    Parameters
    ----------
    plan : SegmentPlan
    output : str
        Path of the output.
    normalisation : FixedNormalisation
    fit : Fit
        Whether image, grey range and model fit one another.
    seconds : float
        Time from the first block to the last byte, without the start of the workers.
    blocks_done : int
        Blocks that this run segmented itself; earlier runs or other parts did the others.
    finished : bool
        Whether the output is complete; False if other parts must still end.
    objects : ObjectSummary or None
        Number and sizes of the objects, if they are written.
    table : str
        Path of the file with the table of the objects; empty if there is none.
    class_shares : mapping of str to float
        Share of the voxels of each class, 0 to 1.
    bytes_read : int
        Bytes of the pixels that were read, uncompressed, with halos.
    tiles_computed : int
        Tiles that went through the network. A tile with the same voxels as an earlier one is not
        computed again.
    compute_seconds : float
        Time in which a device computed, summed over all workers.
    device, backend : str
        Where the network ran, and what computed it; empty if no block needed the network.
    smaller_tile : tuple of int
        Shape of the tiles, if memory ended with the planned ones; else empty.
    peak_memory_bytes : int
        Peak memory of this process and its children.
    dashboard : str
        Address of Dask's dashboard while it ran; empty if there was none.
    already_finished : bool
        Whether an earlier run had finished the output, so that this run computed nothing.
    page : str
        Path of the page that shows this report; empty if there is none.
    """

    plan: SegmentPlan
    output: str
    normalisation: FixedNormalisation
    fit: Fit
    seconds: float
    blocks_done: int
    finished: bool
    objects: ObjectSummary | None
    table: str
    class_shares: Mapping[str, float]
    bytes_read: int
    tiles_computed: int
    compute_seconds: float
    device: str
    backend: str
    smaller_tile: tuple[int, ...]
    peak_memory_bytes: int
    dashboard: str
    already_finished: bool = False
    page: str = ""

    def __repr__(self) -> str:
        objects = "" if self.objects is None else counted(self.objects.num_objects, "object")
        return line_repr(
            self,
            self.output,
            f"{shown_shape(self.plan.region.shape)} voxels",
            f"{self.seconds:.1f} s" if self.finished else "not finished",
            shown_shares(self.class_shares),
            objects,
        )

    def _repr_html_(self) -> str:
        objects, values = self.objects, self.normalisation.values
        grey = ", ".join(f"{a:g} to {b:g}" for a, b in zip(values.low, values.high))
        return html_repr(
            "Segmentation" if self.finished else "Segmentation, not finished",
            {
                "image": shown_url(self.plan.image.url),
                "output": self.output,
                "voxels": f"{shown_shape(self.plan.region.shape)} in {self.seconds:.1f} s",
                "grey values": grey,
                "classes": shown_shares(self.class_shares),
                "objects": "" if objects is None else str(objects.num_objects),
                "table": self.table,
                "warnings": without_secrets(" ".join((*self.plan.image.notes, *self.fit.warnings))),
            },
            page=self.page,
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet segment --json` prints."""
        grid = self.plan.grid
        voxels = self.plan.region.size * self.blocks_done / max(grid.num_blocks, 1)
        return {
            **self.plan.to_dict(),
            "output": self.output,
            "normalisation": self.normalisation.to_dict(),
            "fit": self.fit.to_dict(),
            "warnings": [without_secrets(w) for w in (*self.plan.image.notes, *self.fit.warnings)],
            "seconds": round(self.seconds, 3),
            "megapixels_per_second": round(voxels / 1e6 / max(self.seconds, 1e-9), 3),
            "blocks_done": self.blocks_done,
            "finished": self.finished,
            "objects": None if self.objects is None else asdict(self.objects),
            "table": self.table,
            "class_shares": {name: round(share, 6) for name, share in self.class_shares.items()},
            "bytes_read": self.bytes_read,
            "bytes_read_per_image_byte": round(self.plan.read_ratio(self.bytes_read), 4),
            "tiles_computed": self.tiles_computed,
            "compute_seconds": round(self.compute_seconds, 3),
            "peak_memory_bytes": self.peak_memory_bytes,
            "device": self.device,
            "backend": self.backend,
            "smaller_tile": list(self.smaller_tile),
            "dashboard": self.dashboard,
            "already_finished": self.already_finished,
            "page": self.page,
        }
