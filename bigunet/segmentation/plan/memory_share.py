"""Shares the memory of a machine among processes, their blocks, and their forward passes."""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.errors import OptionError
from bigunet.machine.memory import usable_memory_bytes

# Before the first block, 0.45 GB and 0.37 GB were measured. The rest is for allocators and compiled
# graphs: with it, a run with a limit of 2 GB had a peak of 1.8 GB.
_COMMAND_BYTES = 500_000_000
_WORKER_BYTES = 900_000_000
# The least that is planned for a forward pass; a tile of one stride takes a few megabytes.
_SMALLEST_BYTES = 100_000_000
_MOST_PER_WORKER = 8_000_000_000
# Memory of a GPU for CUDA, its libraries and the weights, and the share of the rest that an
# allocator can use. A plan that is too large does not fail: if memory ends, tiles are halved.
_CUDA_BYTES = 1_000_000_000
_GPU_SHARE = 0.7
MOST_BLOCKS_IN_WORK = 3
"""The most blocks that a worker holds: it reads one, computes one, and writes one."""


def run_bytes(blocks_bytes: int, pass_bytes: int, *, workers: int = 1) -> int:
    """Peak memory of all processes on a machine, in bytes.

    Parameters
    ----------
    blocks_bytes, pass_bytes : int
        Memory of all blocks that a worker holds at a time, and of a forward pass.
    workers : int
    """
    return _COMMAND_BYTES + workers * (_WORKER_BYTES + blocks_bytes + pass_bytes)


def sufficient_limit(
    share: MemoryShare, block_bytes: int, pass_bytes: int, *, workers: int = 1
) -> int:
    """The smallest memory limit that leads to the same blocks and tiles, in bytes.

    Parameters
    ----------
    share : MemoryShare
        The share that led to these blocks and tiles.
    block_bytes, pass_bytes : int
        Memory of a whole block, and of a forward pass.
    workers : int
    """
    blocks_bytes = MOST_BLOCKS_IN_WORK * block_bytes
    used = blocks_bytes + max(blocks_bytes, pass_bytes)
    needed = max(2 * _SMALLEST_BYTES, min(share.worker_bytes, used))
    return _COMMAND_BYTES + workers * (_WORKER_BYTES + needed)


@dataclass(frozen=True, slots=True)
class MemoryShare:
    """Memory of one worker for its blocks and a forward pass, in bytes.

    Parameters
    ----------
    worker_bytes : int
        Without the memory that it takes before its first block.
    gpu_bytes : tuple of int
        Memory of the GPU of each worker; 0 for a worker without one. Empty if all forward passes
        run on cores: then they take of ``worker_bytes``.
    """

    worker_bytes: int
    gpu_bytes: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        limit_bytes: int,
        workers: int,
        gpu_bytes: tuple[int, ...] = (),
        *,
        machine_bytes: int = 0,
    ) -> MemoryShare:
        """The share of each worker of a machine.

        Parameters
        ----------
        limit_bytes : int
            Memory for all processes on the machine. 0 stands for half of ``machine_bytes``, but at
            most 8 GB for each worker.
        workers : int
            Number of workers on the machine.
        gpu_bytes : tuple of int
            Memory of the GPU of each worker.
        machine_bytes : int
            Memory of the machine of the workers; 0 stands for what this process may use here.

        Raises
        ------
        OptionError
            If the limit is too low.
        """
        available = machine_bytes or usable_memory_bytes()
        limit = limit_bytes or min(available // 2, workers * _MOST_PER_WORKER)
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
    def on_gpus(self) -> bool:
        """Whether every worker computes on a GPU of NVIDIA."""
        return bool(self.gpu_bytes) and all(self.gpu_bytes)

    @property
    def block_bytes(self) -> int:
        """The most memory that the pixels and outputs of one block should take."""
        return self.worker_bytes // (2 * MOST_BLOCKS_IN_WORK)

    def blocks_in_work(self, block_bytes: int) -> int:
        """Number of blocks of this size, 1 to 3, that a worker holds within half of its share."""
        return max(1, min(MOST_BLOCKS_IN_WORK, self.worker_bytes // 2 // max(1, block_bytes)))

    def blocks_alone(self, block_bytes: int) -> int:
        """Number of blocks of this size, 1 to 3, that a worker holds if it predicts nothing."""
        return max(1, min(MOST_BLOCKS_IN_WORK, self.worker_bytes // max(1, block_bytes)))

    def pass_bytes(self, block_bytes: int, num_blocks: int = MOST_BLOCKS_IN_WORK) -> int:
        """Memory that blocks of this size leave for a forward pass, if there are so many."""
        in_work = min(num_blocks, self.blocks_in_work(block_bytes))
        left = self.worker_bytes - in_work * block_bytes
        on_gpus = [int(_GPU_SHARE * (n - _CUDA_BYTES)) if n else left for n in self.gpu_bytes]
        # All workers have the same tiles, so that the smallest GPU decides.
        return max(_SMALLEST_BYTES, min(on_gpus, default=left))
