"""Hostile model files: their header is refused before anything is allocated."""

from __future__ import annotations

import contextlib
import copy
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bigunet.errors import ModelError
from bigunet.model.description import ModelDescription, default_classes
from bigunet.model.files.model_file import load_model, save_model
from bigunet.model.networks.architectures import build
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.model.object_description import ObjectDescription

CONFIG = UNetConfig(width=2, depth=1)
DESCRIPTION = ModelDescription(
    name="cells",
    architecture={"name": "unet", "config": CONFIG.to_dict()},
    classes=default_classes(2),
    channels=("nuclei",),
    voxel_size_um=(0.5, 0.25),
    objects=ObjectDescription("class 1", smallest=12),
)
# Memory that loading the file itself may take: its weights twice, and a little for torch.
_ROOM_BYTES = 100_000


class Allocations(TorchDispatchMode):
    """Refuses tensors too large for the files of this test; tensors on meta take no memory."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for one in output if isinstance(output, (tuple, list)) else (output,):
            if isinstance(one, torch.Tensor) and not one.is_meta:
                assert one.numel() * one.element_size() <= _ROOM_BYTES
        return output


def file_of(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "m.safetensors"
    torch.manual_seed(0)
    save_model(path, UNet(CONFIG), DESCRIPTION)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def described(change: Callable[[dict[str, Any]], object]) -> dict[str, str]:
    content = copy.deepcopy(DESCRIPTION.to_dict())
    change(content)
    return {"bigunet": json.dumps(content)}


def test_a_few_bytes_that_claim_a_giant_network_are_refused_before_it_is_built(path: Path) -> None:
    giant = UNetConfig(width=64, depth=8).to_dict()
    metadata = described(lambda d: d["architecture"].update(config=giant))
    path.write_bytes(file_of(json.dumps({"__metadata__": metadata}).encode()))
    assert path.stat().st_size < 1000
    with (
        Allocations(),
        pytest.raises(ModelError, match="86 of 86 tensors missing") as caught,
    ):
        load_model(path)
    assert len(str(caught.value)) - len(str(path)) <= 200


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"width": 10**9}, "width is 1000000000; give at most 65536"),
        ({"width": 10**400}, r"width is 10+\.\.\.0+; give at most 65536"),
        ({"classes": 2**70}, "classes is 1180591620717411303424; give at most 65536"),
        ({"in_channels": 10**12}, "in_channels is 1000000000000; give at most 65536"),
        ({"width": 65536, "depth": 8}, "tensors missing|of another shape"),
        ({"depth": 2**64}, "depth is 18446744073709551616; give 1 to 8"),
        ({"width": "x" * 10**6}, "width is 'xxxx.*; give a whole number"),
        ({"dropout": "much"}, "dropout is 'much'; give a share"),
        ({"dropout": [0]}, r"dropout is \[0\]; give a share"),
        ({"batch_norm": "no"}, "batch_norm is 'no'; give true or false"),
        ({"wings": 2}, "not the numbers of a U-Net: .*wings"),
    ],
)
def test_absurdly_large_numbers_are_refused(
    whole: Path, path: Path, config: dict[str, Any], message: str
) -> None:
    metadata = described(lambda d: d["architecture"]["config"].update(config))
    save_file(load_file(whole), path, metadata=metadata)
    with Allocations(), pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert len(str(caught.value)) - len(str(path)) <= 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": "ab"}, "damaged: classes 'ab'"),
        ({"classes": {"name": "a"}}, "damaged: classes {'name': 'a'}"),
        ({"classes": [1, 2]}, "description is damaged"),
        ({"classes": [{"name": 1, "color": "#000000"}] * 2}, "class's name is 1; give a text"),
        ({"classes": [{"name": "a", "color": 7}] * 2}, "has colour 7; write #rrggbb"),
        ({"channels": 1}, "damaged: channels 1"),
        ({"channels": [1]}, "one of the channels is 1; give a text"),
        ({"channels": "n"}, "damaged: channels 'n'"),
        ({"voxel_size_um": {"y": 1}}, "damaged: voxel_size_um {'y': 1}"),
        ({"voxel_size_um": [1]}, r"voxel_size_um is \(1,\); give 2 or 3 positive numbers"),
        ({"voxel_size_um": ["1", "1"]}, "give 2 or 3 positive numbers"),
        ({"voxel_size_um": [10**400, 1]}, "give 2 or 3 positive numbers"),
        ({"normalisation": {"low": "a", "high": "b"}}, "low is 'a'; give a number"),
        ({"normalisation": {"low": [1]}}, r"low is \[1\]; give a number"),
        ({"normalisation": {"low": True}}, "low is True; give a number"),
        ({"normalisation": 3}, "description is damaged"),
        ({"objects": "class 1"}, "damaged: objects 'class 1'"),
        ({"objects": {}}, "damaged: objects {}"),
        ({"objects": {"object_class": "class 1", "colour": 1}}, "damaged: objects {'colour': 1"),
        ({"objects": {"object_class": 1}}, "object_class is 1; give a class's name"),
        ({"objects": {"object_class": "x" * 10**6}}, r"objects name class 'xx\S*; the classes"),
        ({"objects": {"object_class": "class 1", "smallest": 10**400}}, "smallest is 10+"),
        ({"precisions": "fp32"}, "damaged: precisions 'fp32'"),
        ({"name": "x" * 10**6}, "the model's name has 1000000 letters; give at most 1000"),
        ({"name": None}, "the model's name is None; give a text"),
        ({"training": 1}, "damaged: training 1"),
        ({"card": ["a"]}, r"damaged: card \['a'\]"),
        ({"format_version": 10**400}, "model format 10+.*upgrade bigunet"),
        ({"y" * 10**6: 1}, "which this bigunet does not know: upgrade bigunet"),
    ],
)
def test_fields_of_other_types_are_refused_in_a_line(
    whole: Path, path: Path, change: dict[str, Any], message: str
) -> None:
    save_file(load_file(whole), path, metadata=described(lambda d: d.update(change)))
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert len(str(caught.value)) - len(str(path)) <= 200


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("[" * 100_000, "not JSON: JSON that is nested too deeply"),
        ('{"format": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
        ('{"format"', "not JSON"),
        ("[]", "no bigunet description"),
    ],
)
def test_json_that_python_cannot_parse_is_refused(
    whole: Path, path: Path, description: str, message: str
) -> None:
    save_file(load_file(whole), path, metadata={"bigunet": description})
    with pytest.raises(ModelError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    "content",
    [
        file_of(b"[" * 100_000),
        file_of(b'{"a": ' + b"9" * 5000 + b"}"),
        file_of(b'{"\xff": 1}'),
        file_of(b"[1]" + b" " * 9),
        file_of(b'{"__metadata__": {"bigunet": 1}}'),
        file_of(b'{"a": {"dtype": "F32", "shape": [1e9], "data_offsets": [0, 4]}}', bytes(4)),
        file_of(b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}'),
        file_of(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}', bytes(4)),
        file_of(b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}', bytes(4)),
        file_of(b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}', bytes(4)),
        file_of(b'{"a": 1}' + b" " * 9),
        struct.pack("<Q", 2**63) + b"{}" * 9,
        struct.pack("<Q", 99) + b"{}" * 9,
    ],
)
def test_a_damaged_head_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a readable \.safetensors file: ") as caught:
        load_model(path)
    assert len(str(caught.value)) - len(str(path)) <= 200


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(whole: Path, path: Path, value: float) -> None:
    state = load_file(whole)
    state["head.bias"][1] = value
    save_file(state, path, metadata=described(lambda d: None))
    with pytest.raises(ModelError, match=r"head\.bias has 1 of 2 weights that are NaN or infinite"):
        load_model(path)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_a_prefix_of_all_names_is_removed(whole: Path, path: Path, prefix: str) -> None:
    plain = load_file(whole)
    state = {prefix + name: tensor for name, tensor in plain.items()}
    save_file(state, path, metadata=described(lambda d: None))
    loaded = load_model(path).module.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in plain.items())
    del state[f"{prefix}head.bias"]
    save_file(state, path, metadata=described(lambda d: None))
    with pytest.raises(ModelError, match=r"1 of 16 tensors missing \(head\.bias\)"):
        load_model(path)


def test_a_network_is_saved_from_within_data_parallel(whole: Path, path: Path) -> None:
    module = load_model(whole).module
    save_model(path, nn.DataParallel(module), DESCRIPTION)
    assert path.read_bytes() == whole.read_bytes()


def test_weights_of_whole_numbers_are_refused(whole: Path, path: Path) -> None:
    state = load_file(whole)
    state["head.bias"] = state["head.bias"].long()
    save_file(state, path, metadata=described(lambda d: None))
    with pytest.raises(ModelError, match=r"head\.bias is I64, not F16 or BF16 or F32 or F64"):
        load_model(path)


def test_the_differences_name_only_a_few_tensors(path: Path) -> None:
    state = UNet(UNetConfig(width=3, depth=2)).state_dict()
    save_file(state, path, metadata=described(lambda d: None))
    message = r"10 too many \(\S+, \S+, …\); 15 of 16 of another shape \(\S+ \("
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert len(str(caught.value)) - len(str(path)) <= 200


def test_a_network_larger_than_memory_is_refused_before_it_is_built() -> None:
    config = UNetConfig(width=16_384, depth=8).to_dict()
    with Allocations(), pytest.raises(ModelError, match=r"take \d+ GB, this machine has \d+ GB"):
        build({"name": "unet", "config": config})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, 10**30, -1, 0, 1e308, 65536])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a tree of JSON."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return [at] * bool(at) + [p for key, one in items for p in _places(one, (*at, key))]


@settings(deadline=None, max_examples=120)
@given(st.data())
def test_any_change_of_the_description_loads_or_is_a_model_error(
    whole: Path, data: st.DataObject
) -> None:
    tree = json.loads(json.dumps(DESCRIPTION.to_dict()))
    place = data.draw(st.sampled_from(_places(tree)))
    parent = tree
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = data.draw(JSON)
    path = whole.with_name("changed.safetensors")
    save_file(load_file(whole), path, metadata={"bigunet": json.dumps(tree)})
    with Allocations(), contextlib.suppress(ModelError):
        load_model(path)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_change_of_bytes_loads_or_is_a_model_error(whole: Path, data: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    path = whole.with_name("bytes.safetensors")
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    with Allocations(), contextlib.suppress(ModelError):
        load_model(path)
