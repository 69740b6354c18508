"""``bigunet plan``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.common_options import json_option, option, segment_options
from bigunet_cli.completing import PATH
from bigunet_cli.config import config_option
from bigunet_cli.declared_options import described
from bigunet_cli.help_sections import MESSAGES, SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import about, counted, print_json, print_table, say, size

from bigunet.segmentation.segment_options import SegmentOptions


@click.command(
    cls=SectionedCommand,
    short_help="Say what a segmentation would run, and what it costs.",
    examples="""
    bigunet plan image.zarr --channel DAPI
        Foretell blocks, time and memory from a few tiles.
    bigunet plan image.zarr --memory-limit 4GB --no-measure
        Foretell blocks and tiles without reading a voxel.
    """,
)
@click.argument("source", type=PATH, metavar="IN")
@segment_options
@config_option(unused=("target", "client", "part", "performance_path", "table"))
@option(
    "--measure/--no-measure",
    section=MESSAGES,
    default=True,
    show_default=True,
    help="Run a few tiles here to foretell time and memory. Without it, no voxel is read.",
)
@json_option
def plan(source: str, *, measure: bool, as_json: bool, **given: Any) -> None:
    """Say what a segmentation of IN would run: blocks, tiles, recompute, bytes, time, memory."""
    options = described(SegmentOptions, given)
    with loading():
        from bigunet.machine.freed_memory import keep_freed_memory
        from bigunet.segmentation.forecast import forecast
        from bigunet.segmentation.plan.plan import plan as make_plan
        from bigunet.segmentation.plan.tuning import tuned
        from bigunet.segmentation.plan.worker_choice import starts_processes

    made = make_plan(source, model=given["model"], options=options)
    for note in made.image.notes:
        say(f"Warning: {note}")
    if options.tune and not options.tile_shape:
        made = tuned(made, slab=options.slab)
    planned = made.to_dict()
    if measure:
        # Workers in processes keep their memory; those in threads of a command do not.
        if starts_processes(made.region.size):
            keep_freed_memory()
        planned["forecast"] = forecast(made).to_dict()
    if as_json:
        print_json(planned)
        return
    expected = planned.pop("forecast", {})
    click.echo(f"{_sentence(planned['blocks'], expected)}\n")
    for name, value in expected.items():
        if value is not None:
            planned[f"expected {name}"] = size(value) if name == "memory_bytes" else value
    for name in ("bytes_read", "bytes_written", "block_memory_bytes"):
        planned[name] = size(planned[name])
    if planned["flops"] is not None:
        planned["flops"] = f"{planned['flops']:.3g}"
    print_table({name: _words(value) for name, value in planned.items()})


def _sentence(blocks: int, expected: dict[str, Any]) -> str:
    """The plan in one line: the work, and what it costs on this machine."""
    if not expected:
        return f"{counted(blocks, 'block')}; time and memory are not measured"
    return (
        f"{counted(blocks, 'block')}, about {about(expected['seconds'])}, "
        f"{size(expected['memory_bytes'])} of memory"
    )


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
