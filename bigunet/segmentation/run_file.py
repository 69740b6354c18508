"""The file ``run.toml`` beside the ledger: what was asked for, as ``--config`` reads it again."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from bigunet.io.sources.array_source import Array
from bigunet.machine.files import replacing
from bigunet.model.files.names import bundled_models
from bigunet.model.model import Model
from bigunet.options.toml_text import toml_text, toml_values
from bigunet.segmentation.place import RUN_FOLDER
from bigunet.segmentation.report_file import RUN_FILE
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.urls import shown_url

logger = logging.getLogger(__name__)

_ABOUT = """\
What was asked for, without passwords, tokens and workers.
Paths are as they were given, and count from the folder in which the command runs.
bigunet segment --config run.toml --overwrite repeats it; IN and OUT on the command line win."""


def write_run_file(
    folder: Path,
    source: str | Path | Array,
    target: str | Path | None,
    *,
    model: str | Path | Model,
    options: SegmentOptions,
    table: str | Path | None = None,
) -> None:
    """Write what a caller of `segment` gave. A run never fails for it: the log says what was wrong.

    An array, and a model that was made in Python, have no name that a file could hold: nothing is
    written for them.

    Parameters
    ----------
    folder : Path
        Of the record of the run.
    source, target, model, options, table
        As the caller of `segment` gave them.
    """
    name = _named(model)
    if not name or not isinstance(source, (str, os.PathLike)):
        return
    values = {
        "source": shown_url(source),
        "target": None if target is None else shown_url(target),
        "table": None if table is None else os.fspath(table),
        "model": None if name == "nuclei" else shown_url(name),
        **toml_values(options),
    }
    path = folder / RUN_FOLDER / RUN_FILE
    try:
        with replacing(path) as partial:
            partial.write_text(toml_text(values, about=_ABOUT), encoding="utf-8")
    except (OSError, UnicodeError) as error:
        logger.warning("cannot write %s: %s", path, error)


def _named(model: str | Path | Model) -> str:
    """The name or path of a model; empty for one that no command can load."""
    if not isinstance(model, Model):
        return os.fspath(model)
    names = {str(path): name for name, path in bundled_models().items()}
    return names.get(model.path, model.path)
