"""Entry point: the group of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import difflib
import importlib
import logging
import sys
import traceback

from bigunet_cli.stopping import Stop, signals_as_interrupts, while_starting
from bigunet_cli.streams import keep_streams_open

with while_starting():
    import click
    from bigunet_cli.flag_words import with_flags
    from bigunet_cli.help_sections import ExampleGroup
    from bigunet_cli.typed_names import as_typed

    from bigunet.errors import BigUNetError, StoppedError
    from bigunet.urls import without_secrets

# Each command is in the module of the same name.
_COMMANDS = (
    "completion", "convert", "demo", "evaluate", "export", "info", "jobs", "measure", "models",
    "plan", "preview", "quantise", "segment", "train", "verify", "view",
)  # fmt: skip

# EX_TEMPFAIL of sysexits.h, a failure that passes: batch scripts queue the job again.
_STOPPED = 75
COMPLETE_VARIABLE = "_BIGUNET_COMPLETE"
_RESUMABLE = ("convert", "segment", "train")


class _Commands(ExampleGroup):
    """Commands; the module of each is imported when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with while_starting():
            module = importlib.import_module(f"bigunet_cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    examples="""
    bigunet demo
        Segment a mosaic of nuclei that comes with bigunet.
    bigunet segment image.tif out.zarr
        Segment an image of your own.
    bigunet segment --help
        List the options of a command.
    """,
    context_settings={"max_content_width": 100},
)
@click.version_option(package_name="bigunet")
@click.option("--debug", is_flag=True, help="Show tracebacks and log messages.")
def cli(debug: bool) -> None:
    """Segment microscopy images larger than memory with a U-Net, exactly as in one pass."""
    level = logging.DEBUG if debug else logging.ERROR
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_hide_secrets)
    logging.getLogger("bigunet").setLevel(level)
    # The warning about an idle GPU is for all users.
    logging.getLogger("bigunet.segmentation.plan.worker_choice").setLevel(
        min(level, logging.WARNING)
    )
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING if debug else logging.CRITICAL)
    # Its warnings repeat, with a traceback, what bigunet says in one line.
    # When a run ends early, asyncio and tornado add what Dask's futures did not collect.
    for name in ("distributed", "asyncio", "tornado.application"):
        logging.getLogger(name).setLevel(logging.WARNING if debug else logging.CRITICAL)


def _hide_secrets(record: logging.LogRecord) -> bool:
    """Take passwords and tokens out of a log message and its traceback; True prints the message."""
    record.msg, record.args = without_secrets(record.getMessage()), ()
    if record.exc_info:
        trace = "".join(traceback.format_exception(*record.exc_info))
        record.exc_text, record.exc_info = without_secrets(trace).rstrip(), None
    return True


def main() -> None:
    """Run a command and leave with its exit code.

    0 done, 1 error, 2 usage, 75 stopped between blocks (SIGUSR1), 130 interrupted (Ctrl-C), 143
    terminated (SIGTERM), 129 by the end of its terminal (SIGHUP).
    """
    keep_streams_open()
    with signals_as_interrupts() as stop:
        sys.exit(_flushed(_run(stop)))


def _flushed(code: int) -> int:
    """The exit code, once all that was printed is written."""
    try:
        sys.stdout.flush()
    except BigUNetError as error:
        return code or _fail(str(error))
    return code


def _run(stop: Stop) -> int:
    debug = "--debug" in sys.argv
    if debug:
        # The flag may stand anywhere on the line, not only before the command.
        sys.argv = [sys.argv[0], "--debug", *(a for a in sys.argv[1:] if a != "--debug")]
    try:
        return int(cli.main(prog_name="bigunet", standalone_mode=False) or 0)
    except click.MissingParameter as error:
        error.show()
        return error.exit_code
    except click.BadParameter as error:
        return _fail(error.format_message())
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say(f"{stop.word}{_advice(sys.argv)}.")
        return stop.exit_code
    except Exception as error:
        if stop.terminated:
            # Batch systems end all processes of a group: another one may have ended first.
            _say(f"{stop.word}{_advice(sys.argv)}.")
            return stop.exit_code
        if isinstance(error, StoppedError):
            message = str(error)
            _say(f"{message[:1].upper()}{message[1:]}{_advice(sys.argv)}.")
            return _STOPPED
        if isinstance(error, BigUNetError):
            return _fail(_as_typed(str(error), sys.argv[1:]), debug=debug)
        message = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        return _fail(message, debug=debug)


def _as_typed(message: str, words: list[str]) -> str:
    """The message with options named by their flags."""
    name = next((word for word in words if word in _COMMANDS), "")
    command = _Commands().get_command(click.Context(cli), name)
    return as_typed(message if command is None else with_flags(message, command), words)


def _advice(words: list[str]) -> str:
    """Advice about how a stopped command goes on, if it can."""
    if not any(word in _RESUMABLE for word in words[1:3]):
        return ""
    if {"--resume", "--part"} & {word.partition("=")[0] for word in words}:
        return "; go on with the same command"
    if "--overwrite" in words:
        return "; go on with the same command, --resume in the place of --overwrite"
    return "; go on with the same command and --resume"


def _fail(message: str, *, debug: bool = False) -> int:
    if debug:
        click.echo(without_secrets(traceback.format_exc()), err=True)
    _say("Error: " + " ".join(message.split()))
    return 1


def _say(line: str) -> None:
    click.secho(without_secrets(line), fg="red", err=True)


if __name__ == "__main__":
    main()
