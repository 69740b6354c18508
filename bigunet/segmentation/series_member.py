"""One image of a series: where it is, where its output goes, and what it takes of the workers."""

from __future__ import annotations

from dataclasses import dataclass

from distributed import Client

from bigunet.engine.runner import BLOCKS_PER_THREAD
from bigunet.errors import BigUNetError
from bigunet.io.files.opening import open_image
from bigunet.model.model import Model
from bigunet.segmentation.place import choose_place
from bigunet.segmentation.plan.memory_share import MOST_BLOCKS_IN_WORK
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.worker_choice import WorkerMemory, voxels_of
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.side_by_side import TaskSize

# Each image has some threads and questions to the scheduler in the command's process.
_MOST_TOGETHER = 32
# Each image has its own copy of the network on a worker: as it came, and as it computes.
_COPIES_PER_IMAGE = 2
# Share of a worker's memory that these copies may take: small images leave far more.
_COPIES_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a series.

    Parameters
    ----------
    name : str
        Name of the member in the results.
    source : str
        Path or URL of the image.
    target : str or None
        Path of its output; None for labels inside the image.
    """

    name: str
    source: str
    target: str | None

    def plan(self, model: Model, options: SegmentOptions, memory: WorkerMemory) -> SegmentPlan:
        """What would be done for it; only metadata are read.

        Raises
        ------
        BigUNetError
            If the image cannot be opened, or model or options do not fit it.
        """
        image = open_image(self.source, axes=options.axes)
        return make_plan(
            image,
            model,
            options,
            workers=memory.workers,
            memory_bytes=memory.limit_bytes,
            machine_bytes=memory.machine_bytes,
            gpu_bytes=memory.gpu_bytes,
            inside_image=choose_place(image, self.target, options).inside_image,
        )

    def voxels(self, options: SegmentOptions) -> float:
        """Voxels of the image; 0 if it cannot be read. Its own turn reports that error."""
        try:
            return voxels_of(open_image(self.source, axes=options.axes), options)
        except BigUNetError:
            return 0

    def size(self, model: Model, options: SegmentOptions, memory: WorkerMemory) -> TaskSize:
        """What it takes of the workers. An image that is refused, or not readable, takes little."""
        try:
            plan = self.plan(model, options, memory)
        except (BigUNetError, OSError):
            return TaskSize(1, _MOST_TOGETHER)
        blocks = plan.grid.num_blocks
        in_work = plan.share.blocks_in_work(plan.block_memory_bytes())
        if plan.objects is not None:
            in_work = min(in_work, plan.share.blocks_in_work(plan.object_memory_bytes()))
        if options.tune or in_work < MOST_BLOCKS_IN_WORK:
            # Other images would change what is measured, or take memory that its blocks need.
            return TaskSize(blocks, 1)
        copy_bytes = _COPIES_PER_IMAGE * weight_bytes(model)
        room = int(_COPIES_SHARE * plan.share.worker_bytes / max(1, copy_bytes))
        return TaskSize(blocks, min(_MOST_TOGETHER, 1 + room))


def weight_bytes(model: Model) -> int:
    """Memory of the weights of a model."""
    sizes = (one.numel() * one.element_size() for one in model.module.parameters())
    return int(sum(sizes))


def blocks_enough(client: Client) -> int:
    """Number of blocks that keep all workers busy; the runner has as many of one image."""
    try:
        threads = int(sum(client.nthreads().values()))
    except OSError:
        # The scheduler is gone: each image says so.
        threads = 0
    return max(2, BLOCKS_PER_THREAD * threads)
