"""Words that options may take; commands import them without anything heavy."""

from __future__ import annotations

from typing import Literal

Backend = Literal["torch", "compile", "openvino"]
BackendChoice = Literal["auto", "torch", "compile", "openvino"]
TargetKind = Literal["classes", "cells", "boundaries"]
InterpolationOrder = Literal[1, 3]
Output = Literal["classes", "probabilities", "instances"]
SliceAxis = Literal["z", "y", "x"]
Connectivity = Literal["faces", "edges", "corners"]
SplitChoice = Literal["auto", "on", "off"]
PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]
DeviceChoice = Literal["auto", "cpu", "cuda", "mps"]
OmeVersion = Literal["0.4", "0.5", "0.6"]
LevelChoice = int | Literal["auto"]
SlabChoice = int | Literal["auto"]
OmeVersionChoice = Literal["auto", "0.4", "0.5", "0.6"]
Nonfinite = Literal["refuse", "background"]
Existing = Literal["refuse", "resume", "overwrite"]
Optimiser = Literal["sgd", "adamw"]
Schedule = Literal["constant", "cosine"]
SampleBy = Literal["voxels", "images", "objects"]
TrainingPrecision = Literal["fp32", "bf16"]
ScoreName = Literal["auto", "dice", "average-precision", "v-rand"]
NetworkName = Literal["unet", "fcn", "sliding-window"]
PresetName = Literal["laptop", "gpu", "paper"]
NormalisationChoice = Literal["percentile", "fixed"]
BatchKind = Literal["slurm", "pbs", "lsf", "sge", "htcondor", "oar"]
ClusterKind = Literal[
    "auto", "local", "cuda", "slurm", "pbs", "lsf", "sge", "htcondor", "oar", "threads"
]
Way = Literal["array", "dask"]
EvaluationKind = Literal["classes", "instances", "boundaries"]
MetricName = Literal[
    "dice",
    "iou",
    "pixel-error",
    "average-precision",
    "panoptic-quality",
    "seg",
    "rand-error",
    "warping-error",
    "v-rand",
    "v-info",
]
NormalisationKind = Literal["percentile", "fixed", "steps"]
Precision = Literal["fp32", "bf16", "fp16"]
ScoreKind = Literal["logits", "probabilities"]
