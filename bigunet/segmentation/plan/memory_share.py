"""How a machine's memory is shared: by processes, by blocks in work, by one forward pass each."""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.errors import OptionError
from bigunet.machine.memory import usable_memory_bytes

# Measured were 0.45 and 0.37 GB before the first block. The rest is what allocators and compiled
# graphs hold back: with it, a limit of 2 GB was kept at a peak of 1.8 GB.
_COMMAND_BYTES = 500_000_000
_WORKER_BYTES = 900_000_000
# A forward pass is never planned with less; a tile of one stride takes a few megabytes.
_SMALLEST_BYTES = 100_000_000
_MOST_PER_WORKER = 8_000_000_000
# What CUDA, its libraries and the weights take of a GPU, and what an allocator leaves unused of the
# rest. Too much is no failure: where memory ends, tiles are halved.
_CUDA_BYTES = 1_000_000_000
_GPU_SHARE = 0.7
MOST_BLOCKS_IN_WORK = 3
"""Of one worker: one is read, one computed, one written."""


def run_bytes(blocks_bytes: int, pass_bytes: int, *, workers: int = 1) -> int:
    """What all processes on a machine take at the peak.

    Parameters
    ----------
    blocks_bytes, pass_bytes : int
        Of all blocks that a worker holds at a time, and of a forward pass.
    workers : int
    """
    return _COMMAND_BYTES + workers * (_WORKER_BYTES + blocks_bytes + pass_bytes)


def sufficient_limit(
    share: MemoryShare, block_bytes: int, pass_bytes: int, *, workers: int = 1
) -> int:
    """The least memory limit with which the same blocks and tiles are chosen, in bytes.

    Parameters
    ----------
    share : MemoryShare
        With which they were.
    block_bytes, pass_bytes : int
        Of a block that nothing cuts, and of a forward pass.
    workers : int
    """
    wanted = MOST_BLOCKS_IN_WORK * block_bytes + max(MOST_BLOCKS_IN_WORK * block_bytes, pass_bytes)
    needed = max(2 * _SMALLEST_BYTES, min(share.worker_bytes, wanted))
    return _COMMAND_BYTES + workers * (_WORKER_BYTES + needed)


@dataclass(frozen=True, slots=True)
class MemoryShare:
    """What one worker may take for blocks and for a forward pass, in bytes.

    Parameters
    ----------
    worker_bytes : int
        Beyond what it takes before its first block.
    gpu_bytes : tuple of int
        Memory of the workers' GPUs, where passes run on them; 0 for a worker without one. Empty:
        all run on cores, in ``worker_bytes``.
    """

    worker_bytes: int
    gpu_bytes: tuple[int, ...] = ()

    @classmethod
    def of(cls, limit_bytes: int, workers: int, gpu_bytes: tuple[int, ...] = ()) -> MemoryShare:
        """The share of each of a machine's workers.

        Parameters
        ----------
        limit_bytes : int
            Of all processes on the machine; 0 is half of the memory that this process may use,
            and no more than 8 GB for each worker.
        workers : int
            On that machine.
        gpu_bytes : tuple of int
            Memory of each worker's GPU.

        Raises
        ------
        OptionError
            If too little is left.
        """
        limit = limit_bytes or min(usable_memory_bytes() // 2, workers * _MOST_PER_WORKER)
        left = (limit - _COMMAND_BYTES) // workers - _WORKER_BYTES
        least = 2 * _SMALLEST_BYTES
        if left >= least:
            return cls(left, gpu_bytes)
        if not limit_bytes:
            return cls(least, gpu_bytes)
        needed = _COMMAND_BYTES + workers * (_WORKER_BYTES + least)
        raise OptionError(
            f"memory limit {limit / 1e9:.2g} GB: {workers} worker(s) need {needed / 1e9:.2g} GB "
            "at least; give more, or fewer workers"
        )

    @property
    def block_bytes(self) -> int:
        """The most that one block's pixels and outputs should take."""
        return self.worker_bytes // (2 * MOST_BLOCKS_IN_WORK)

    def blocks_in_work(self, block_bytes: int) -> int:
        """How many blocks of that size a worker holds at a time, 1 to 3, within half its share."""
        return max(1, min(MOST_BLOCKS_IN_WORK, self.worker_bytes // 2 // max(1, block_bytes)))

    def pass_bytes(self, block_bytes: int) -> int:
        """What is left for a forward pass beside blocks of that size."""
        left = self.worker_bytes - self.blocks_in_work(block_bytes) * block_bytes
        on_gpus = [int(_GPU_SHARE * (n - _CUDA_BYTES)) if n else left for n in self.gpu_bytes]
        # One tile for all workers: that of the smallest.
        return max(_SMALLEST_BYTES, min(on_gpus, default=left))
