"""Every error that bigunet raises on purpose; each is also the standard library's nearest type."""

from bigunet.urls import without_secrets


class BigUNetError(Exception):
    """Base of all errors that a user can do something about: the message says what and how.

    URLs in it stand without passwords and tokens, whoever wrote the message.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_secrets(a) if isinstance(a, str) else a for a in args))


class GeometryError(BigUNetError, ValueError):
    """Boxes, blocks or tiles that do not fit together."""


class ModelError(BigUNetError, ValueError):
    """A model that cannot be loaded, or that cannot be run exactly block by block."""


class ImageError(BigUNetError, ValueError):
    """An input that cannot be read as an image."""


class LabelsError(ImageError):
    """Labels that are missing, that do not fit their image, or that hold what is no label."""


class OutputError(BigUNetError, OSError):
    """An output that exists, does not match, or cannot be written."""


class BusyError(OutputError, BlockingIOError):
    """An output that another process is writing."""


class OptionError(BigUNetError, ValueError):
    """An option whose value does not fit the image, the model or the machine."""


class ResumeError(BigUNetError, RuntimeError):
    """A run that cannot be continued, because it was begun differently."""


class StoppedError(BigUNetError, RuntimeError):
    """A run that was asked to stop, and did once the blocks at work were done."""


class ClusterError(BigUNetError, RuntimeError):
    """Workers that cannot be had, or that were lost for good."""


class BlockError(BigUNetError, RuntimeError):
    """A block that failed; the message carries its index and the cause is chained."""


class TrainingError(BigUNetError, RuntimeError):
    """Training data that do not fit together, or a training run that diverged."""
