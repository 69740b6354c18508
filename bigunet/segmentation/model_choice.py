"""The model of a segmentation: the caller's, or read as the options say."""

from __future__ import annotations

from pathlib import Path

from bigunet.errors import OptionError
from bigunet.model.files.model_file import load_model
from bigunet.model.model import Model
from bigunet.model.probing.stated import stated_halo
from bigunet.options.short_repr import shown_shape
from bigunet.segmentation.segment_options import SegmentOptions


def chosen_model(model: str | Path | Model, options: SegmentOptions) -> Model:
    """The model that a caller gives, or the one at a path, read with the trust of the options.

    Raises
    ------
    ModelError
        If it cannot be read, or not be run as the options say.
    OptionError
        If the options state another halo than that of a model that is there already.
    """
    if not isinstance(model, Model):
        return load_model(model, trust=options.trust, halo=options.halo, blend=options.blend)
    if options.halo:
        stated, known = stated_halo(options.halo, model.ndim), model.receptive_field.halo
        if any(a < b for a, b in zip(known, stated)):
            raise OptionError(
                f"the model has a halo of {shown_shape(known)}, not of {shown_shape(stated)}: give "
                "the halo to Model.of_module or to load_model"
            )
    return model
