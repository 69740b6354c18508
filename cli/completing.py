"""What a shell completes: files, and names of models. It imports nothing heavy."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


class PathText(click.ParamType):  # type: ignore[type-arg]
    """A path or a URL, as text; shells complete files and folders."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class ModelText(PathText):
    """The name of a bundled model, or a path; shells complete both."""

    name = "name|path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        # Names come last: bash drops what stands before a file.
        names = [CompletionItem(n) for n in _bundled_names() if n.startswith(incomplete)]
        return [*super().shell_complete(ctx, param, incomplete), *names]


def _bundled_names() -> list[str]:
    """As ``bundled_models`` of the package, which would import torch."""
    folder = Path(str(resources.files("bigunet") / "bundled"))
    return sorted(path.stem for path in folder.glob("*.safetensors"))


PATH, MODEL_NAME = PathText(), ModelText()
