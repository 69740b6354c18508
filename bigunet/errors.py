"""All errors that bigunet raises on purpose; each is also the nearest standard type.

::

    BigUNetError (Exception)
    ├── GeometryError (ValueError)      boxes, blocks or tiles do not fit together
    ├── ModelError (ValueError)         a model cannot be loaded, or cannot run block by block
    │   └── InexactError (ValueError)   a network's output depends on the tile; blending can run it
    ├── ImageError (ValueError)         an input cannot be read as an image
    │   └── LabelsError (ValueError)    labels are missing, do not fit the image, or are no labels
    ├── OutputError (OSError)           an output exists, does not fit, or cannot be written
    │   └── BusyError (BlockingIOError) another process is writing the output
    ├── OptionError (ValueError)        an option does not fit the image, the model or the machine
    ├── ResumeError (RuntimeError)      a run cannot go on, because it was begun differently
    ├── StoppedError (RuntimeError)     a run stopped because it was asked to
    ├── ClusterError (RuntimeError)     workers cannot be had, or were lost for good
    ├── BlockError (RuntimeError)       a block failed
    └── TrainingError (RuntimeError)    training data do not fit together, or training diverged
"""

from bigunet.urls import without_secrets


class BigUNetError(Exception):
    """Base of all errors that a user can act on: the message says what is wrong and what to do.

    Passwords and tokens are removed from the URLs in the message.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_secrets(a) if isinstance(a, str) else a for a in args))


class GeometryError(BigUNetError, ValueError):
    """Boxes, blocks or tiles do not fit together."""


class ModelError(BigUNetError, ValueError):
    """A model cannot be loaded, or cannot be run exactly block by block."""


class InexactError(ModelError, ValueError):
    """The output of a network depends on the tile, so that blocks cannot equal the whole image."""


class ImageError(BigUNetError, ValueError):
    """An input cannot be read as an image."""


class LabelsError(ImageError, ValueError):
    """Labels are missing, do not fit their image, or hold a value that is no label."""


class OutputError(BigUNetError, OSError):
    """An output exists already, does not fit the run, or cannot be written."""


class BusyError(OutputError, BlockingIOError):
    """Another process is writing the output."""


class OptionError(BigUNetError, ValueError):
    """The value of an option does not fit the image, the model or the machine."""


class ResumeError(BigUNetError, RuntimeError):
    """A run cannot be continued, because it was begun differently."""


class StoppedError(BigUNetError, RuntimeError):
    """A run was asked to stop, and stopped when the blocks at work were done."""


class ClusterError(BigUNetError, RuntimeError):
    """Workers cannot be had, or were lost for good."""


class BlockError(BigUNetError, RuntimeError):
    """A block failed; the message has its index, and the cause is chained."""


class TrainingError(BigUNetError, RuntimeError):
    """Training data do not fit together, or a training run diverged."""
