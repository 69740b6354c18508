"""Refusals of networks and model files."""

from pathlib import Path

import torch
from refusals.case import Case
from refusals.things import (
    PYTHON_WEIGHTS,
    archive,
    description_of_a_giant,
    file,
    image,
    noise,
    onnx_model,
    package,
)
from safetensors.torch import save_file
from torch import nn

_OF_MODULE = "Load the weights into your network in Python, and give `Model.of_module(network)`."
_OF_MODULE += " The page [From Python](python.md#a-network-of-your-own) shows how."


def _script(*lines: str) -> str:
    used = ["import torch"] * any("torch." in line for line in lines)
    gap = [""] * (1 + lines[0].startswith("class"))
    return "\n".join([*used, "from torch import nn", "", "import bigunet", *gap, *lines, ""])


def _layers(*layers: str) -> str:
    return _script(
        f"module = nn.Sequential({', '.join(layers)})", "bigunet.Model.of_module(module, ndim=2)"
    )


def _network(*body: str, layers: str = "self.layer = nn.Conv2d(1, 2, 3, padding=1)") -> str:
    return _script(
        "class Network(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        f"        {layers}",
        "",
        "    def forward(self, image):",
        *(f"        {line}" for line in body),
        "",
        "",
        "bigunet.Model.of_module(Network(), ndim=2)",
    )


def _image() -> None:
    image("cells.zarr", noise(60, 50))


def _file_of(name: str) -> str:
    return f"segment cells.zarr out.zarr --model {name}"


CASES = (
    Case(
        "A name that no bundled model has",
        command=_file_of("nucleus"),
        make=_image,
        says="'nucleus'.*bundled",
        why="The line lists the bundled models.",
        instead="Choose one of them, or give a `.safetensors` file.",
    ),
    Case(
        "A checkpoint of torch.save (.pt, .pth, .ckpt)",
        command=_file_of("unet.pt"),
        make=lambda: (_image(), torch.save({"w": torch.zeros(1)}, "unet.pt")),
        says="a checkpoint of torch.save",
        why="Such a file can run any program as it is opened, and does not hold the network.",
        instead=_OF_MODULE,
    ),
    Case(
        "A TorchScript file",
        command=_file_of("unet.pt"),
        make=lambda: (_image(), archive("unet.pt", "a/data.pkl", "a/constants.pkl", "a/code/x")),
        says="a TorchScript module",
        why="PyTorch says to treat such a file as a program: its code can read and write files.",
        instead="Give `--trust` if you trust who made it.",
    ),
    Case(
        "An ONNX model with an operator that bigunet does not run",
        command=_file_of("unet.onnx"),
        make=lambda: (_image(), onnx_model("unet.onnx", "NonZero")),
        says=r"ONNX operators that bigunet does not run \(NonZero\)",
        why="bigunet computes the operators of convolutional networks, in PyTorch.",
        instead="Export the network without it, or give the PyTorch network: "
        "`Model.of_module(network)`.",
    ),
    Case(
        "A package of bioimage.io with Python of its own",
        command=_file_of("package"),
        make=lambda: (_image(), package("package", weights=PYTHON_WEIGHTS)),
        says=r"unet\.py would run Python of the package",
        why="That code could do all that you can.",
        instead="Read it. Then give `--trust`, or take a package with ONNX weights.",
    ),
    Case(
        "A package of bioimage.io with a step that cannot be run exactly",
        command=_file_of("package"),
        make=lambda: (_image(), package("package", preprocessing=[{"id": "custom"}])),
        says=r"step custom\(\) cannot be run exactly",
        why="bigunet fixes what is done with grey values once, for the whole image.",
        instead="Prepare the image that way first, and take the step out of the description.",
    ),
    Case(
        "A package of bioimage.io with a file that was changed",
        command=_file_of("package"),
        make=lambda: (_image(), package("package"), file("package/weights.onnx", b"changed")),
        says="has the SHA-256",
        why="The description states the SHA-256 of each file.",
        instead="Fetch the package again.",
    ),
    Case(
        "A `.safetensors` file of another program",
        command="info timm.safetensors",
        make=lambda: save_file(nn.Conv2d(1, 2, 3).state_dict(), Path("timm.safetensors")),
        says="2 tensors without a bigunet description.*save_model",
        why="Weights alone do not say to which network they belong.",
        instead=_OF_MODULE,
    ),
    Case(
        "A file of 600 bytes that describes a network of gigabytes",
        command="info giant.safetensors",
        make=lambda: file("giant.safetensors", description_of_a_giant()),
        says="86 of 86 tensors missing",
        why="The weights are compared with the description before memory is taken.",
        instead="Download the file again, from somebody you trust.",
    ),
    Case(
        "A path given to `Model.of_module`",
        script=_script('bigunet.Model.of_module("unet.pt", ndim=2)'),
        says="'unet.pt' is a path, not a module",
        why="`of_module` takes a network that is in memory.",
        instead="`bigunet.load_model(path)` opens a model file of bigunet.",
    ),
    Case(
        "Weights without the network",
        script=_script(
            "weights = nn.Conv2d(1, 2, 3).state_dict()", "bigunet.Model.of_module(weights, ndim=2)"
        ),
        says="a dict of 2 entries.*load_state_dict",
        why="Weights alone do not say what the network computes.",
        instead="Load them into the network, and give that.",
    ),
    Case(
        "Weights that are NaN",
        script=_script(
            "module = nn.Conv2d(1, 2, 3)",
            'nn.init.constant_(module.bias, float("nan"))',
            "bigunet.Model.of_module(module, ndim=2)",
        ),
        says="bias has 2 of 2 weights that are NaN",
        why="Every label would be 0.",
        instead="Load the weights again, or train again with a lower learning rate.",
    ),
    Case(
        "A 3D network for planes",
        script=_layers("nn.Conv3d(1, 2, 3, padding=1)"),
        says="3 spatial axes.*ndim=3",
        why="`ndim` is the number of axes that the network sees.",
        instead="Give `ndim=3`.",
    ),
    Case(
        "Group or instance normalisation",
        script=_layers("nn.Conv2d(1, 4, 3)", "nn.GroupNorm(2, 4)", "nn.Conv2d(4, 2, 1)"),
        says=r"layer '1' \(GroupNorm\).*depends on the whole tile",
        why="It uses the means of the tile: blocks would not fit together at their seams.",
        instead="Use batch normalisation, and train again.",
    ),
    Case(
        "A mean over the whole tile",
        script=_network("return self.layer(image - image.mean())"),
        says=r"torch\.Tensor\.mean in Network, script\.py:\d+.*depends on the whole tile",
        why="It depends on the tile: blocks would not fit together at their seams.",
        instead="Subtract a constant; `--grey-range` fixes the grey values once for the image.",
    ),
    Case(
        "Coordinates as a channel",
        script=_network(
            "rows = torch.linspace(-1, 1, image.shape[-2], dtype=image.dtype)",
            "return self.layer(image) + rows[:, None]",
        ),
        says=r"torch\.linspace in Network.*depends on the whole tile",
        why="They depend on the tile, not on the image.",
        instead="Train without them.",
    ),
    Case(
        "Dropout that is still on",
        script=_network(
            "return nn.functional.dropout(self.layer(image), 0.5, training=True)",
        ),
        says="gives other scores for the same image",
        why="A block that runs twice would have other labels.",
        instead="Use `nn.Dropout`, which bigunet turns off.",
    ),
    Case(
        "A network that gives labels, not scores",
        script=_network("return self.layer(image).argmax(1, keepdim=True)"),
        says="argmax|whole numbers|int64",
        why="Labels say nothing about how sure the network is.",
        instead="Give the network without its last step.",
    ),
    Case(
        "One score that ends in a clamp",
        script=_network("return self.layer(image)[:, :1].clamp(0, 1)"),
        says="one score that ends in clamp, 0 to 1: logit or probability",
        why="The threshold of logits is 0, that of probabilities 0.5.",
        instead='Give `scores="probabilities"` or `scores="logits"`.',
    ),
    Case(
        "A sigmoid over several classes",
        script=_layers("nn.Conv2d(1, 3, 3)", "nn.Sigmoid()"),
        says="3 scores within 0 to 1 that do not sum to 1",
        why="A voxel could then belong to several classes, but it gets one label.",
        instead="Give the network without the sigmoid, if the classes exclude one another.",
    ),
)
