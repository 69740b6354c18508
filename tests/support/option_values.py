"""Strategies that draw values of every kind of option."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bigunet import Augmentation
from bigunet.jobs.job_request import Duration
from bigunet.options.composed_kinds import Commas, Each, Optional, TwoNumbers
from bigunet.options.convolution_kind import Convolution
from bigunet.options.image_kinds import Channel, ClassName, LevelNumber, Size, SlabPlanes
from bigunet.options.lengths import Length, Micrometres
from bigunet.options.object_sizes import ObjectSizeKind
from bigunet.options.option_fields import OptionField
from bigunet.options.option_kinds import (
    Choice,
    Flag,
    Kind,
    ModelPath,
    Number,
    Path,
    Share,
    Text,
    Whole,
)
from bigunet.options.regions import Region
from bigunet.training.augmentation import Changes

FINITE = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
# Values that texts of any letters would hardly ever be.
FITTING = {
    "axes": st.sampled_from(["yx", "zyx", "yxc"]),
    "dashboard_address": st.sampled_from([":0", "127.0.0.1:8787"]),
    "directives": st.lists(st.sampled_from(["--qos=a b", "-n1"]), max_size=2).map(tuple),
    "logs": st.sampled_from(["/logs", "~/é"]),
    "mask": st.sampled_from(["/a mask.zarr", "s3://bucket/key=1"]),
    "grey_range_of": st.sampled_from(["/out.zarr"]),
    "name": st.sampled_from(["a", "7-b.c"]),
    "object_threshold": st.floats(0, 1, exclude_min=True, exclude_max=True),
    "split_radius": st.integers(0, 200),
}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a kind."""
    if isinstance(kind, Optional):
        return values(kind.kind)
    if isinstance(kind, (Each, Commas)):
        at_least = isinstance(kind, Commas)
        return st.lists(values(kind.kind), min_size=at_least, max_size=3).map(tuple)
    if isinstance(kind, Choice):
        return st.sampled_from(kind.words)
    if isinstance(kind, Whole):
        return st.integers(kind.least or 0, 2**70)
    known: dict[type, st.SearchStrategy[Any]] = {
        Flag: st.booleans(),
        Text: st.text(),
        Path: st.text(),
        ModelPath: st.text(),
        Share: st.floats(0, 1, exclude_min=True) | st.just(1),
        Micrometres: st.floats(0, 1) | st.floats(1, 1e300),
        Number: st.floats(0, 1) | st.floats(1, 1e300),
        TwoNumbers: st.tuples(FINITE, FINITE),
        LevelNumber: st.integers(0, 9) | st.just("auto"),
        SlabPlanes: st.integers(0, 64) | st.just("auto"),
        Channel: st.text(),
        Convolution: st.sampled_from(["auto", "direct", "winograd", "winograd:a.0,b"]),
        ClassName: st.integers(0, 2**70) | st.sampled_from(["cell", "-1", "²", " 1"]),
        Region: st.dictionaries(
            st.sampled_from("tzyx"), st.just((2, 5)) | st.just((Length(0.5), Length(10)))
        ),
        Size: st.integers(0, 2**70) | st.integers(0, 99).map(lambda n: n * 10**9),
        Duration: st.integers(1, 2**40),
        ObjectSizeKind: st.integers(0, 2**60) | st.sampled_from(["30um2", "1e3 µm³", "7"]),
        Changes: st.builds(
            Augmentation,
            flips=st.booleans(),
            scale=st.sampled_from([(0.5, 2.0), (0.8, 1.25)]),
            noise=st.floats(0, 1),
            elastic_points=st.integers(2, 9),
        ),
    }
    return known[type(kind)]


def field_values(one: OptionField) -> st.SearchStrategy[Any]:
    return FITTING[one.name] if one.name in FITTING else values(one.kind)
