"""Warnings for people: an event where someone listens, else a line of the log."""

from __future__ import annotations

import logging

from bigunet.events import Notice, OnEvent
from bigunet.urls import without_secrets

logger = logging.getLogger(__name__)


def warn(line: str, on_event: OnEvent | None) -> None:
    """Pass a warning on, without passwords and tokens."""
    if on_event is None:
        logger.warning("%s", without_secrets(line))
    else:
        on_event(Notice(f"Warning: {line}"))
