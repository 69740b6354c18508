"""Segmentation of microscopy images larger than memory with a U-Net, exactly as in one pass."""

import importlib as _importlib
import typing as _typing
from importlib.metadata import version as _version

if _typing.TYPE_CHECKING:
    from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
    from bigunet.errors import BigUNetError
    from bigunet.model.description import ModelDescription, Normalisation, SegmentationClass
    from bigunet.model.file import load_model, save_model
    from bigunet.model.model import Model
    from bigunet.model.unet import UNet, UNetConfig
    from bigunet.training.augmentation import Augmentation
    from bigunet.training.recipe import Recipe
    from bigunet.workflows.evaluate import Evaluation, evaluate
    from bigunet.workflows.evaluation.options import EvaluateOptions
    from bigunet.workflows.fields import segment_fields
    from bigunet.workflows.images import segment_images
    from bigunet.workflows.info import info
    from bigunet.workflows.options import SegmentOptions
    from bigunet.workflows.plan import plan
    from bigunet.workflows.segment import segment
    from bigunet.workflows.segment_report import SegmentReport
    from bigunet.workflows.train import train
    from bigunet.workflows.training_run.job import TrainReport
    from bigunet.workflows.training_run.options import TrainOptions
    from bigunet.workflows.verify import VerifyReport, verify

__version__ = _version("bigunet")

__all__ = [
    "Augmentation",
    "BigUNetError",
    "ClusterSpec",
    "EvaluateOptions",
    "Evaluation",
    "JobSpec",
    "Model",
    "ModelDescription",
    "Normalisation",
    "Recipe",
    "SegmentOptions",
    "SegmentReport",
    "SegmentationClass",
    "TrainOptions",
    "TrainReport",
    "UNet",
    "UNetConfig",
    "VerifyReport",
    "evaluate",
    "info",
    "load_model",
    "plan",
    "save_model",
    "segment",
    "segment_fields",
    "segment_images",
    "train",
    "verify",
]

# Torch, Dask and zarr take two seconds to import: each name brings what it needs on first use.
_HOMES = {
    "Augmentation": "training.augmentation",
    "BigUNetError": "errors",
    "ClusterSpec": "engine.clusters.spec",
    "EvaluateOptions": "workflows.evaluation.options",
    "Evaluation": "workflows.evaluate",
    "JobSpec": "engine.clusters.spec",
    "Model": "model.model",
    "ModelDescription": "model.description",
    "Normalisation": "model.description",
    "Recipe": "training.recipe",
    "SegmentOptions": "workflows.options",
    "SegmentReport": "workflows.segment_report",
    "SegmentationClass": "model.description",
    "TrainOptions": "workflows.training_run.options",
    "TrainReport": "workflows.training_run.job",
    "UNet": "model.unet",
    "UNetConfig": "model.unet",
    "VerifyReport": "workflows.verify",
    "evaluate": "workflows.evaluate",
    "info": "workflows.info",
    "load_model": "model.file",
    "plan": "workflows.plan",
    "save_model": "model.file",
    "segment": "workflows.segment",
    "segment_fields": "workflows.fields",
    "segment_images": "workflows.images",
    "train": "workflows.train",
    "verify": "workflows.verify",
}


def __getattr__(name: str) -> _typing.Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
