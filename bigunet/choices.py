"""Words that options may take, where commands read them before anything heavy is imported."""

from __future__ import annotations

from typing import Literal

Backend = Literal["torch", "compile", "openvino"]
BackendChoice = Literal["auto", "torch", "compile", "openvino"]
TargetKind = Literal["classes", "cells", "boundaries"]
InterpolationOrder = Literal[1, 3]
