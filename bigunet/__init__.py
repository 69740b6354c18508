"""Segmentation of microscopy images larger than memory with a U-Net, exactly as in one pass."""

import importlib as _importlib
import typing as _typing
from importlib.metadata import version as _version

if _typing.TYPE_CHECKING:
    from bigunet.conversion.convert import convert
    from bigunet.conversion.convert_options import ConvertOptions
    from bigunet.conversion.convert_report import ConvertReport
    from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
    from bigunet.errors import BigUNetError
    from bigunet.evaluation.evaluate import Evaluation, evaluate
    from bigunet.evaluation.evaluate_options import EvaluateOptions
    from bigunet.events import (
        AtWork,
        BlockDone,
        Notice,
        RunsDone,
        StageBegun,
        StepDone,
        TrainBegun,
        Validated,
    )
    from bigunet.exporting.export import export
    from bigunet.exporting.export_options import ExportOptions
    from bigunet.measuring.measure import measure
    from bigunet.model.description import ModelDescription, SegmentationClass
    from bigunet.model.files.model_file import load_model, save_model
    from bigunet.model.model import Model
    from bigunet.model.networks.unet import UNet, UNetConfig
    from bigunet.model.normalisation import Normalisation
    from bigunet.model.object_description import ObjectDescription
    from bigunet.objects.label_objects import label_objects
    from bigunet.objects.split_rule import SplitRule
    from bigunet.path_info import info
    from bigunet.previewing.preview import Preview, preview
    from bigunet.quantising.quantise import quantise
    from bigunet.quantising.quantise_options import QuantiseOptions
    from bigunet.quantising.quantise_report import QuantiseReport
    from bigunet.segmentation.many_images import segment_images
    from bigunet.segmentation.plan.plan import plan
    from bigunet.segmentation.plate_fields import segment_fields
    from bigunet.segmentation.predict import predict
    from bigunet.segmentation.prediction import Prediction
    from bigunet.segmentation.segment import segment
    from bigunet.segmentation.segment_options import SegmentOptions
    from bigunet.segmentation.segment_report import SegmentReport
    from bigunet.segmentation.verify import verify
    from bigunet.segmentation.verify_report import VerifyReport
    from bigunet.training.augmentation import Augmentation
    from bigunet.training.recipe import Recipe
    from bigunet.training.run.train_report import TrainReport
    from bigunet.training.train import train
    from bigunet.training.train_options import TrainOptions
    from bigunet.viewing.snapshot import snapshot
    from bigunet.viewing.view import View, view

__version__ = _version("bigunet")

__all__ = [
    "AtWork",
    "Augmentation",
    "BigUNetError",
    "BlockDone",
    "ClusterSpec",
    "ConvertOptions",
    "ConvertReport",
    "EvaluateOptions",
    "Evaluation",
    "ExportOptions",
    "JobSpec",
    "Model",
    "ModelDescription",
    "Normalisation",
    "Notice",
    "ObjectDescription",
    "Prediction",
    "Preview",
    "QuantiseOptions",
    "QuantiseReport",
    "Recipe",
    "RunsDone",
    "SegmentOptions",
    "SegmentReport",
    "SegmentationClass",
    "SplitRule",
    "StageBegun",
    "StepDone",
    "TrainBegun",
    "TrainOptions",
    "TrainReport",
    "UNet",
    "UNetConfig",
    "Validated",
    "VerifyReport",
    "View",
    "convert",
    "evaluate",
    "export",
    "info",
    "label_objects",
    "load_model",
    "measure",
    "plan",
    "predict",
    "preview",
    "quantise",
    "save_model",
    "segment",
    "segment_fields",
    "segment_images",
    "snapshot",
    "train",
    "verify",
    "view",
]

# Torch, Dask and zarr take two seconds to import: each name brings what it needs on first use.
_HOMES = {
    "AtWork": "events",
    "Augmentation": "training.augmentation",
    "BigUNetError": "errors",
    "BlockDone": "events",
    "ClusterSpec": "engine.clusters.spec",
    "ConvertOptions": "conversion.convert_options",
    "ConvertReport": "conversion.convert_report",
    "EvaluateOptions": "evaluation.evaluate_options",
    "Evaluation": "evaluation.evaluate",
    "ExportOptions": "exporting.export_options",
    "JobSpec": "engine.clusters.spec",
    "Model": "model.model",
    "ModelDescription": "model.description",
    "Normalisation": "model.normalisation",
    "Notice": "events",
    "ObjectDescription": "model.object_description",
    "Prediction": "segmentation.prediction",
    "Preview": "previewing.preview",
    "QuantiseOptions": "quantising.quantise_options",
    "QuantiseReport": "quantising.quantise_report",
    "Recipe": "training.recipe",
    "RunsDone": "events",
    "SegmentOptions": "segmentation.segment_options",
    "SegmentReport": "segmentation.segment_report",
    "SegmentationClass": "model.description",
    "SplitRule": "objects.split_rule",
    "StageBegun": "events",
    "StepDone": "events",
    "TrainBegun": "events",
    "TrainOptions": "training.train_options",
    "TrainReport": "training.run.train_report",
    "UNet": "model.networks.unet",
    "UNetConfig": "model.networks.unet",
    "Validated": "events",
    "VerifyReport": "segmentation.verify_report",
    "View": "viewing.view",
    "convert": "conversion.convert",
    "evaluate": "evaluation.evaluate",
    "export": "exporting.export",
    "info": "path_info",
    "label_objects": "objects.label_objects",
    "load_model": "model.files.model_file",
    "measure": "measuring.measure",
    "plan": "segmentation.plan.plan",
    "predict": "segmentation.predict",
    "preview": "previewing.preview",
    "quantise": "quantising.quantise",
    "save_model": "model.files.model_file",
    "segment": "segmentation.segment",
    "segment_fields": "segmentation.plate_fields",
    "segment_images": "segmentation.many_images",
    "snapshot": "viewing.snapshot",
    "train": "training.train",
    "verify": "segmentation.verify",
    "view": "viewing.view",
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
