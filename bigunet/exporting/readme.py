"""The documentation in a package."""

from __future__ import annotations

from bigunet.model.model import Model

_CARD = ("data", "intended_use", "limits", "licence", "citation", "source")


def readme(model: Model) -> bytes:
    """What the network is, how it reads an image, and how to check it; Markdown."""
    described, field = model.description, model.receptive_field
    lines = [f"# {described.name}", ""]
    for key in _CARD:
        if described.card.get(key):
            lines += [f"**{key.replace('_', ' ').capitalize()}**: {described.card[key]}", ""]
    names = ", ".join(one.name for one in described.classes)
    border = " × ".join(map(str, field.border))
    lines += [
        "## What it computes",
        "",
        f"Probabilities of the classes {names}. The convolutions are valid: the output lacks "
        f"{border} voxels on each side. To get a result up to the edge, mirror the image there "
        "(numpy's `reflect`).",
        "",
        *_grey_values(model),
        "## Validation",
        "",
        *_scores(model),
        "`bioimageio test` compares all weights with the test tensors. Score the network on images "
        "of your own: `bigunet evaluate` compares labels with the truth.",
        "",
        "Written by bigunet.",
        "",
    ]
    return "\n".join(lines).encode()


def _grey_values(model: Model) -> list[str]:
    usual = model.description.normalisation
    if usual.kind != "percentile":
        return [f"Grey values {usual.low:g} and {usual.high:g} become 0 and 1.", ""]
    return [
        f"Percentiles {usual.low:g} and {usual.high:g} of each channel become 0 and 1. bigunet "
        "leaves empty background, padding and outliers out before it takes them, which no step of "
        "this format can say. So labels of other programs may differ from those of bigunet.",
        "",
    ]


def _scores(model: Model) -> list[str]:
    scores = model.description.card.get("scores")
    if not isinstance(scores, dict):
        return []
    return [*(f"- {name}: {value}" for name, value in scores.items()), ""]
