"""What a forward pass costs: a fixed time, a time for each voxel, and a time for its operations.

The numbers choose between tiles, and need not be exact. `bigunet.segmentation.forecast` measures.
"""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.options.choices import Precision

# Operations per voxel that are assumed for a module that cannot be counted.
_UNKNOWN_FLOPS = 10_000


@dataclass(frozen=True, slots=True)
class PassCost:
    """The cost of a forward pass on some device.

    Parameters
    ----------
    pass_seconds : float
        Time of a pass of any size: Python, the start of each layer, the wait for the result.
    voxel_seconds : float
        Time for each voxel that a pass reads: its copies, its normalisation, its label.
    flops_per_second : float
        Rate of the operations.
    """

    pass_seconds: float
    voxel_seconds: float
    flops_per_second: float

    def seconds(self, *, voxels: int, flops: float | None, passes: int = 1) -> float:
        """Time of passes that together read so many voxels and do so many operations.

        Parameters
        ----------
        voxels : int
        flops : float or None
            None if the operations cannot be counted; then a usual number per voxel is assumed.
        passes : int

        Examples
        --------
        >>> PassCost(0.5, 0.25, 100.0).seconds(voxels=2, flops=300, passes=4)
        5.5
        """
        flops = _UNKNOWN_FLOPS * voxels if flops is None else flops
        return (
            passes * self.pass_seconds + voxels * self.voxel_seconds + flops / self.flops_per_second
        )


# Measured on two cores of an AMD EPYC (Zen 5): a small pass takes 0.1 ms in torch, and some 4 ms
# in OpenVINO; a convolution that costs nothing takes 10 to 60 ns per voxel.
_ON_CORES = PassCost(4e-3, 2e-8, 1.25e11)
# Measured on an H200: 243 TFLOP/s in bf16 and about half of 51 in fp32. The other numbers are
# reckoned: a hundred kernels of 10 µs, a copy each way, and a hash on the host.
_ON_GPU = {
    precision: PassCost(2e-3, 3e-9, rate)
    for precision, rate in (("fp32", 2.5e13), ("bf16", 2e14), ("fp16", 2e14))
}


def pass_cost(precision: Precision, *, on_gpu: bool) -> PassCost:
    """The cost of a pass on the cores of a worker, or on a GPU of NVIDIA."""
    return _ON_GPU.get(precision, _ON_GPU["bf16"]) if on_gpu else _ON_CORES
