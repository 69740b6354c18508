"""Batches come in order, from other processes too, and their errors have one line."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.discs import discs, sample_of

from bigunet.errors import TrainingError
from bigunet.model.networks.unet import UNetConfig
from bigunet.training.data.loader import Share, batches
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.targets import TargetRule
from bigunet.training.recipe import Recipe


def source_of(image: np.ndarray | None = None) -> PatchSource:
    field = UNetConfig(ndim=2, width=2, depth=1).receptive_field()
    recipe = Recipe(patch=12)
    return PatchSource([sample_of(discs(), image)], recipe, TargetRule("cells"), (1, 1, 1), field)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
@settings(deadline=None)
def test_processes_share_the_patches_of_a_step(batch: int, processes: int, first: int) -> None:
    shares = [Share(batch, rank, processes) for rank in range(processes)]
    drawn = [n for step in range(first, first + 3) for s in shares for n in s.numbers(step)]
    assert drawn == list(range(first * batch * processes, (first + 3) * batch * processes))


# Processes of torch may abort at their very end, and the destructor of its loader complains.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("loaders", [0, 2])
def test_batches_come_in_the_order_of_their_steps(loaders: int) -> None:
    source, share = source_of(), Share(batch=2)
    stream = batches(source, share, first=3, loaders=loaders)
    for step, batch in zip((3, 4, 5), stream):
        patches = [source.draw(k) for k in share.numbers(step)]
        expected = np.stack([p.image for p in patches])
        np.testing.assert_array_equal(batch.images.numpy(), expected)
        assert batch.classes.dtype == torch.int64
        np.testing.assert_array_equal(batch.weights.numpy(), [p.weights for p in patches])


@pytest.mark.parametrize("loaders", [0, 1])
def test_an_error_in_drawing_a_patch_has_the_same_line_from_any_process(loaders: int) -> None:
    source = source_of(np.full((60, 50), np.nan, np.float32))
    with pytest.raises(TrainingError, match=r"^memory has \d+ values that are NaN"):
        list(itertools.islice(batches(source, Share(1), first=0, loaders=loaders), 1))


_SERVE_ONE_THAT_LEAVES = """
import os, socket, sys, time
from multiprocessing import reduction, resource_sharer
from bigunet.training.data.loader import _hide_closed_sockets

if sys.argv[1] == "silent":
    _hide_closed_sockets(0)
handle = resource_sharer.DupFd(os.dup(0))
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect(handle._id[0])
with resource_sharer._resource_sharer.get_connection(handle._id) as served:
    reduction.recv_handle(served)
"""


@pytest.mark.parametrize(("silent", "tracebacks"), [("silent", 0), ("not", 1)])
def test_a_receiver_that_ends_while_it_fetches_leaves_no_traceback(
    silent: str, tracebacks: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SERVE_ONE_THAT_LEAVES, silent],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # A receiver that ends in the middle of an answer causes a second error beside the first.
    assert min(done.stderr.count("Traceback"), 1) == tracebacks
