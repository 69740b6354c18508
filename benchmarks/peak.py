"""The peak rate of matrix products, in each precision that a device has, within a few seconds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from processor import limited_to_avx2, precisions

from bigunet.model.inference.openvino_module import has_openvino

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.int8,
}
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # of OpenVINO
_SMALLEST, MOST = 256, {"cpu": 4096, "cuda": 16384}
_SECONDS = 4.0


def settled(tensor: torch.Tensor) -> torch.Tensor:
    """Wait until the device has computed the tensor."""
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return tensor


def matrix_peak(
    precision: str, device: str = "cpu", *, seconds: float = _SECONDS, most: int | None = None
) -> float:
    """Operations per second of the fastest square matrix product; multiply and add are two.

    On a CPU it is the faster one of torch and OpenVINO. The matrices grow until a further product
    would not fit ``seconds``, so that a device which imitates a precision does not multiply for
    minutes.

    Parameters
    ----------
    precision : {"fp32", "tf32", "bf16", "fp16", "int8"}
    seconds : float
        About the time that the measurement takes.
    most : int, optional
        The largest side of the matrices; by default 4096 on a CPU and 16384 on a GPU.
    """
    ways = [_torch_products]
    # OpenVINO obeys the limit in its convolutions, but multiplies matrices by newer instructions.
    if precision in _HINTS and device == "cpu" and has_openvino() and not limited_to_avx2():
        ways.append(_openvino_products)
    return max(_grow(way(precision, device), seconds / len(ways), most, device) for way in ways)


def peaks(device: str = "cpu", **options: Any) -> dict[str, float]:
    """The peak of each precision that the device has."""
    return {name: matrix_peak(name, device, **options) for name in precisions(device)}


def _grow(
    products: Callable[[int], Callable[[], object]], budget: float, most: int | None, device: str
) -> float:
    """The best rate over growing sizes, as far as the budget of seconds goes."""
    most = most or MOST[torch.device(device).type]
    side, best, ended = min(_SMALLEST, most), 0.0, time.perf_counter() + budget
    while True:
        product = products(side)
        product()  # The first product of a size also prepares its code.
        taken = _best(product, until=min(ended, time.perf_counter() + budget / 5))
        best = max(best, 2 * side**3 / taken)
        side *= 2
        # A product of twice the size takes eight times as long, and runs at least twice.
        if side > most or 16 * taken > ended - time.perf_counter():
            return best


def _best(task: Callable[[], object], *, until: float) -> float:
    """The least seconds of a task, which runs once at least and five times at most."""
    best = _timed(task)
    for _ in range(4):
        if time.perf_counter() + best > until:
            break
        best = min(best, _timed(task))
    return best


def _timed(task: Callable[[], object]) -> float:
    begun = time.perf_counter()
    task()
    return time.perf_counter() - begun


def _torch_products(precision: str, device: str) -> Callable[[int], Callable[[], object]]:
    def products(side: int) -> Callable[[], object]:
        if precision == "int8":
            a, b = (
                torch.randint(-127, 128, (side, side), dtype=torch.int8, device=device)
                for _ in range(2)
            )
            return lambda: settled(torch._int_mm(a, b))
        a, b = (torch.rand(side, side, device=device).to(DTYPES[precision]) for _ in range(2))

        def multiply() -> torch.Tensor:
            with tf32(precision == "tf32"):
                return settled(a @ b)

        return multiply

    return products


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """A context in which GPUs may, or may not, round factors in fp32 to TF32 (10 bits of 23)."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _openvino_products(precision: str, device: str) -> Callable[[int], Callable[[], object]]:
    import openvino
    from openvino import opset13 as ops

    def stored(values: Any) -> Any:
        if precision != "int8":
            return values
        ends = [np.float32(-1.28), np.float32(1.27)]
        return ops.fake_quantize(values, *ends, *ends, 256)

    def products(side: int) -> Callable[[], object]:
        values = np.random.default_rng(0).uniform(-1, 1, (2, side, side)).astype(np.float32)
        image = ops.parameter([side, side], np.float32)
        product = ops.matmul(stored(image), stored(ops.constant(values[1])), False, True)
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        model = openvino.Model([product], [image])
        request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        return lambda: request.infer([values[0]], share_inputs=True, share_outputs=True)

    return products
