"""The file ``run.toml`` in the folder of a training: what was asked for, for ``--config``."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from bigunet.machine.files import replacing
from bigunet.options.toml_text import toml_text, toml_values
from bigunet.training.run.training_run import TrainingRun
from bigunet.urls import shown_url

logger = logging.getLogger(__name__)

_NAME = "run.toml"
_ABOUT = """\
What was asked for, with paths as they were given, without passwords and tokens.
bigunet train --config run.toml --out other.safetensors repeats it."""


def write_run_file(run: TrainingRun, *, preset_fields: Collection[str]) -> None:
    """Write the description of a run. A run never fails for it: the log says what was wrong.

    Parameters
    ----------
    run : TrainingRun
        As it was asked for.
    preset_fields : collection of str
        Fields that its preset knows: they are written even where they have their defaults.
    """
    path = run.folder / _NAME
    values = {
        "images": shown_url(run.images),
        "labels": shown_url(run.labels) if run.labels else None,
        "out": str(run.path),
        "preset": run.preset,
        **toml_values(run.options, always=preset_fields),
        **toml_values(run.recipe, always=preset_fields),
        "weight_cache": shown_url(run.weight_cache) if run.weight_cache else None,
        "card": _without_none(dict(run.card)) if run.card else None,
    }
    if run.validation:
        values["validation"] = [*map(shown_url, run.validation)]
    try:
        with replacing(path) as partial:
            partial.write_text(toml_text(values, about=_ABOUT), encoding="utf-8")
    except (OSError, UnicodeError, TypeError) as error:
        logger.warning("cannot write %s: %s", path, error)


def _without_none(value: Any) -> Any:
    """JSON without null, which TOML does not have."""
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value if item is not None]
    return value
