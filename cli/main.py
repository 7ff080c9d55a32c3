"""The command `needlepoint`: finds the subcommand that is asked for, and turns every failure into two lines.

A subcommand's module is imported only when that subcommand is called, so that `needlepoint --help` stays quick.
"""

import atexit
import errno
import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import click

from cli.visible import visible


class Lazy(NamedTuple):
    """Where a subcommand lives, and the line that stands for it in a help that imports none."""

    module: str
    attribute: str
    summary: str = ""


SUBCOMMANDS = {
    "quickstart": Lazy("cli.quickstart", "quickstart", "See the whole tool at work in a few minutes."),
    "tok": Lazy("cli.tok_commands", "tok", "Train, look through and count with tokenizers."),
    "probe": Lazy("cli.probe_commands", "probe", "Ask models questions that depend on where things stand."),
    "runs": Lazy("cli.runs_commands", "runs", "See what was run, and its results."),
    "models": Lazy("cli.models_commands", "models", "See, check and fetch models."),
}


class Failure(click.ClickException):
    """A failure in the form that people see: `error: what`, `hint: hint`, and the traceback when there is one."""

    def __init__(self, what: str, *, hint: str, exit_code: int, trace: str = "") -> None:
        super().__init__(what)
        self.hint = hint
        self.exit_code = exit_code  # type: ignore[misc]  # Click declares it for the class, we need it for each
        self.trace = trace

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines on stderr."""
        click.echo(visible(f"{self.trace}error: {self.message}\nhint: {self.hint}"), file=file, err=True)


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called; only its help imports all.

    A short command is mostly start-up, and the modules of the others would be most of that.
    """

    def __init__(self, *, lazy: Mapping[str, Lazy], **attributes: Any) -> None:
        super().__init__(commands={name: click.Command(name) for name in lazy}, **attributes)  # for slips of the pen
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """The names, in the order in which a newcomer meets them."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - Click's signature
        """Import the subcommand."""
        if cmd_name not in self.lazy:
            return None
        entry = self.lazy[cmd_name]
        return cast("click.Command", getattr(importlib.import_module(entry.module), entry.attribute))


class OutermostGroup(LazyGroup):
    """The command itself: its help imports nothing, and whatever fails is told in two lines."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click's signature
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.lazy.items()])

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the group's own options; a wrong one is told in two lines."""
        with told_in_two_lines(verbose=False):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a failure is told in two lines."""
        with told_in_two_lines(verbose=ctx.params["verbose"]):
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that has gone away is met here, where Click stays quiet about it
            return result


@contextmanager
def told_in_two_lines(*, verbose: bool) -> Iterator[None]:
    """Translate whatever is raised inside into a `Failure`; with `verbose` it carries the traceback."""
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, Failure):
        raise
    except (KeyboardInterrupt, click.Abort):
        click.echo("error: interrupted\nhint: run the same command again; answers that models gave are kept", err=True)
        raise click.exceptions.Exit(130) from None
    except Exception as err:
        if isinstance(err, OSError) and err.errno == errno.EPIPE:
            raise
        raise _failure(err, verbose=verbose) from err


def _failure(err: Exception, *, verbose: bool) -> Failure:
    from tokenizer.errors import UserError  # late: `main` first makes sure that this package is ours

    trace = ""
    if verbose:
        import traceback

        trace = "".join(traceback.format_exception(err))
    if isinstance(err, UserError):
        return Failure(str(err), hint=err.hint, exit_code=err.exit_code, trace=trace)
    if isinstance(err, click.UsageError):
        path = err.ctx.command_path if err.ctx else "needlepoint"
        return Failure(err.format_message(), hint=f"`{path} --help` shows how it is put", exit_code=2, trace=trace)
    if isinstance(err, click.ClickException):
        return Failure(err.format_message(), hint="see the command's --help", exit_code=err.exit_code, trace=trace)
    if isinstance(err, OSError) and err.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) and err.filename is None:
        return Failure(f"cannot write the output: {err.strerror}", hint="make room for it", exit_code=1, trace=trace)
    if isinstance(err, OSError) and err.filename is not None:
        what = f"{err.filename}: {err.strerror or err}"
        return Failure(what, hint="check that the path is right and that you may use it", exit_code=1, trace=trace)
    what = f"needlepoint failed inside: {type(err).__name__}: {err}"
    return Failure(what, hint="run it again as `needlepoint -v ...` for the traceback", exit_code=1, trace=trace)


def version() -> str:
    """The installed version, or "unknown" in a copy that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("needlepoint")
    except metadata.PackageNotFoundError:
        return "unknown"


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"needlepoint {version()}")
        ctx.exit()


@click.group(
    cls=OutermostGroup,
    lazy=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback when something fails.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and stop.",
)
def needlepoint(verbose: bool) -> None:  # noqa: ARG001 - `OutermostGroup.invoke` reads it
    """See how text is cut into tokens, and how the place of something in a prompt changes what a model does with it.

    \b
    needlepoint quickstart                    the whole tool, on this machine, without a key
    needlepoint tok show "How is this cut?"   a text and its tokens
    needlepoint probe needle --help           ask a model for something hidden in a long text
    needlepoint runs list                     what was run so far
    """
    from cli.progress import say
    from tokenizer import engines

    engines.announce = say
    engines.regret = lambda text: say(f"warning: {text}")


OWN_NAMES = {"tokenizer": ("load_tokenizer",), "probes": ()}  # what a package of ours lists in `__all__`, if anything


def foreign_packages() -> list[tuple[str, str]]:
    """Name the packages that Python finds in place of ours, each with where it found them.

    Another distribution's package of the same name may come first on the path, or have overwritten ours.

    Example: [("tokenizer", "/home/me/tokenizer")] when a directory of that name stands first on the path.
    """
    home = Path(__file__).resolve().parent.parent
    foreign = []
    for name, own_names in OWN_NAMES.items():
        module = importlib.import_module(name)
        place = Path(module.__file__).resolve().parent if module.__file__ else None
        if place != home / name or not set(own_names) <= set(getattr(module, "__all__", ())):
            foreign.append((name, str(place or "a directory without __init__.py")))
    return foreign


def _open_closed_streams() -> None:
    """Put nothing in the place of streams that were closed (`<&-`), lest a file that is opened later takes it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as we run


def main() -> None:
    """Run the command line; this is what the installed command calls."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a narrow encoding costs a glyph, not the command
    for name, place in foreign_packages():
        Failure(
            f"the package `{name}` that Python finds is not needlepoint's but that of {place}",
            hint=f"run elsewhere, or install needlepoint where no other package is called `{name}`",
            exit_code=1,
        ).show()
        sys.exit(1)
    atexit.register(gc.freeze)  # Python would look for garbage once more, in what the process gives back anyway
    needlepoint()
