"""Segmentation of microscopy images larger than memory with a U-Net, exactly as in one pass."""

from importlib.metadata import version as _version

from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import BigUNetError
from bigunet.model.description import ModelDescription, Normalisation, SegmentationClass
from bigunet.model.file import load_model, save_model
from bigunet.model.model import Model
from bigunet.model.unet import UNet, UNetConfig
from bigunet.training.augment import Augmentation
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
