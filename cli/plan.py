"""``bigunet plan``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.loading import loading
from bigunet_cli.options import json_option, options_from, segment_options
from bigunet_cli.words import print_json, print_table, size


@click.command()
@click.argument("source", metavar="IN")
@segment_options
@click.option(
    "--measure/--no-measure",
    default=True,
    show_default=True,
    help="Run a few tiles here to foretell time and memory; else no pixel is read.",
)
@json_option
def plan(source: str, *, measure: bool, as_json: bool, **given: Any) -> None:
    """Say what segmenting IN would run: blocks, tiles, recompute, bytes, time, memory."""
    with loading():
        from bigunet.segmentation.forecast import forecast
        from bigunet.segmentation.plan.plan import plan as make_plan
        from bigunet.segmentation.plan.tuning import tuned

    made = make_plan(source, model=given["model"], options=options_from(given))
    if made.options.tune and not given["tile_shape"]:
        made = tuned(made)
    planned = made.to_dict()
    if measure:
        planned["forecast"] = forecast(made).to_dict()
    if as_json:
        print_json(planned)
        return
    for name, value in planned.pop("forecast", {}).items():
        if value is not None:
            planned[f"expected {name}"] = size(value) if name == "memory_bytes" else value
    for name in ("bytes_read", "bytes_written", "block_memory_bytes"):
        planned[name] = size(planned[name])
    if planned["flops"] is not None:
        planned["flops"] = f"{planned['flops']:.3g}"
    print_table({name: _words(value) for name, value in planned.items()})


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
