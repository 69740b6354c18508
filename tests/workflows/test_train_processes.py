"""Two processes that share each step learn what one with twice the batch does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_images import OPTIONS, quick, write_folders

from bigunet import load_model, train
from bigunet.errors import BigUNetError, ClusterError

pytestmark = pytest.mark.slow


def test_two_processes_with_a_batch_of_one_are_one_with_a_batch_of_two(tmp_path: Path) -> None:
    write_folders(tmp_path)
    found = []
    for processes, batch in ((1, 2), (2, 1)):
        out = tmp_path / f"{processes}.safetensors"
        told = train(
            tmp_path / "images",
            tmp_path / "labels",
            out=out,
            options=replace(OPTIONS, processes=processes),
            recipe=quick(batch=batch, optimiser="sgd", momentum=0.9),
        )
        found.append((told, load_model(out)))
    (one, first), (two, second) = found
    for name, tensor in first.module.state_dict().items():
        torch.testing.assert_close(
            second.module.state_dict()[name], tensor, atol=1e-5, rtol=1e-4, msg=name
        )
    assert one.score == pytest.approx(two.score, abs=0.02)
    assert first.description.training["patches"] == second.description.training["patches"]


def test_an_error_in_any_process_is_told_once_in_one_line(tmp_path: Path, capfd) -> None:
    write_folders(tmp_path)
    # The second process's first patch comes from an image that is not a picture.
    for path in sorted((tmp_path / "images").iterdir()):
        with Image.open(path) as picture:
            grey = np.asarray(picture)
        path.unlink()
        noisy = grey.astype(np.float32)
        noisy[:, ::7] = np.nan
        Image.fromarray(noisy).save(path.with_suffix(".tif"))
    with pytest.raises(BigUNetError, match="NaN or infinite"):
        train(
            tmp_path / "images",
            tmp_path / "labels",
            out=tmp_path / "m.safetensors",
            options=replace(OPTIONS, processes=2),
            recipe=quick(),
        )
    assert "Traceback" not in capfd.readouterr().err


def test_more_gpus_than_there_are_is_an_error(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there are GPUs")
    write_folders(tmp_path)
    with pytest.raises(ClusterError, match="process 0 has no GPU of its own: there are 0"):
        train(
            tmp_path / "images",
            tmp_path / "labels",
            out=tmp_path / "m.safetensors",
            options=replace(OPTIONS, device="cuda"),
            recipe=quick(),
        )
