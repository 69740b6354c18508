"""What ``bigunet info`` prints for people: what matters first, and long histories on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from bigunet_cli.words import about, counted

from bigunet.segmentation.segment_options import SegmentOptions

_EXTENTS = {
    "block_shape",
    "chunks",
    "halo",
    "image_shape",
    "scale",
    "shape",
    "shards",
    "stride",
    "tile",
    "tile_shape",
    "voxel_size_um",
}
_WITH_RANGES = {"augmentation", "roi"}
# Of a model; what is in neither list stands between them.
_FIRST = (
    "kind", "name", "card", "classes", "channels", "objects", "normalisation", "voxel_size_um",
    "grey_median", "architecture", "weights", "halo", "stride", "border", "scores", "precisions",
)  # fmt: skip
_LAST = ("format", "format_version", "path", "sha256", "training")
_MOST_WHOLE = 1e15
_NOTHING: tuple[Any, ...] = (None, "", [], {}, ())


def print_description(description: dict[str, Any], *, full: bool) -> None:
    """Print what ``bigunet.info`` says of a path.

    Parameters
    ----------
    description : dict
    full : bool
        Print the history of a model, and options of an output that were not given, too.
    """
    if description["kind"] == "model":
        description = _model(description, full=full)
    elif not full:
        description = _without_nothing(description)
    _print(description, indent="")


def _model(description: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """The card and what the model does first; its training in one line, or at the end in full."""
    shown = description | {"objects": objects_line(description.get("objects"))}
    middle = [name for name in shown if name not in (*_FIRST, *_LAST)]
    ordered = {name: shown[name] for name in (*_FIRST, *middle, *_LAST) if name in shown}
    if not full and ordered.get("training"):
        ordered["training"] = _training_line(ordered["training"])
    return ordered


def _training_line(training: Mapping[str, Any]) -> str:
    """How the model was trained, in one line; what its file does not say is left out."""
    parts = []
    if "steps_run" in training and "images" in training:
        work = f"{counted(training['steps_run'], 'step')} on {counted(training['images'], 'image')}"
        time = f" in {about(training['seconds'])}" if "seconds" in training else ""
        parts.append(f"{work}{time}")
    if training.get("validation_score") is not None:
        name = training.get("score", "score")
        parts.append(f"{name} {training['validation_score']:.3f} on validation images")
    if training.get("begun_from"):
        begun = training["begun_from"]
        parts.append(f"begun from {begun.get('name')} {str(begun.get('sha256', ''))[:8]}".rstrip())
    return "; ".join([*parts, "--full prints all"])


def _without_nothing(description: dict[str, Any]) -> dict[str, Any]:
    """The description of an output without empty values and options that were not given."""
    usual = SegmentOptions().to_dict()
    kept = dict(description)
    for name in ("made", "report"):
        if isinstance(kept.get(name), dict):
            kept[name] = _less(kept[name], usual)
    if isinstance(kept.get("segmentation"), dict):
        kept["segmentation"] = _without_nothing(kept["segmentation"])
    return kept


def _less(value: dict[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    less = {}
    for name, content in value.items():
        if name == "options" and isinstance(content, dict):
            content = {k: v for k, v in content.items() if k not in usual or v != _plain(usual[k])}
        if isinstance(content, dict):
            content = _less(content, usual)
        if content not in _NOTHING and not _lists_nothing(content):
            less[name] = content
    return less


def _lists_nothing(content: Any) -> bool:
    """Whether there is a value for each channel, and each is empty."""
    return isinstance(content, list) and all(one in _NOTHING for one in content)


def _plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def objects_line(objects: dict[str, Any] | None) -> str:
    """What a model file says of its objects, in one line."""
    if objects is None:
        return "none; --object-class names the class that is numbered"
    line = f"connected {objects['object_class']}"
    if objects["smallest"]:
        line += f" of {objects['smallest']:,} or more voxels"
    if objects["border"] is None:
        return line
    width = counted(objects["border_width"], "voxel")
    return f"{line}, grown by {width} into {objects['border']}"


def _print(value: dict[str, Any], indent: str, *, ranges: bool = False) -> None:
    for name, content in value.items():
        if isinstance(content, dict) and content:
            click.echo(f"{indent}{name}:")
            _print(content, indent + "  ", ranges=name in _WITH_RANGES)
        elif isinstance(content, (list, tuple)) and content and isinstance(content[0], dict):
            click.echo(f"{indent}{name}:")
            for number, item in enumerate(content):
                parts = ", ".join(f"{k} {_word(v, _sign(k))}" for k, v in item.items())
                click.echo(f"{indent}  {number}: {parts}")
        else:
            sign = " to " if ranges else _sign(name)
            click.echo(f"{indent}{name}: {_word(content, sign)}")


def _sign(name: str) -> str:
    return " × " if name in _EXTENTS else ", "


def _word(value: Any, sign: str) -> str:
    if isinstance(value, (list, tuple)):
        return sign.join(_word(one, ", ") for one in value) if value else "none"
    if isinstance(value, float):
        return _number(value)
    return "none" if value in (None, "", {}) else str(value)


def _number(value: float) -> str:
    """A number in six digits; ``--json`` has all of them.

    >>> _number(0.32549019607843144), _number(0.5), _number(1048576.0)
    ('0.32549', '0.5', '1048576')
    """
    if value.is_integer() and abs(value) < _MOST_WHOLE:
        return f"{value:.0f}"
    return f"{value:.6g}"
