"""`needlepoint models serve`: a simulated reader behind HTTP on this machine, with failures on demand."""

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

import click

from cli.progress import say
from probes.models.sim_readers import COMMON, READERS, describe
from probes.serving.failures import FAILURES, check_kind, check_rate
from tokenizer.errors import UsageError


class ServeCommand(click.Command):
    """A command whose help ends with the readers, their parameters, and the kinds of failures with what each does."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click's signature
        """List them."""
        with formatter.section("Readers"):
            formatter.write_dl([(f"sim/{kind}", describe(kind)) for kind in READERS])
        with formatter.section("Every reader takes"):
            formatter.write_dl([(f"{name}={each.default:g}", each.about) for name, each in COMMON.items()])
        with formatter.section("Failures"):
            formatter.write_dl(list(FAILURES.items()))


@click.command(cls=ServeCommand)
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="The port.  [default: a free one]")
@click.option(
    "--fail",
    "failures",
    multiple=True,
    metavar="KIND=RATE",
    help="Let that share of the calls fail, in a way of the list below; may be repeated.",
)
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="Draws which calls fail.")
@click.option(
    "--latency-ms",
    type=click.IntRange(0, 600_000),
    default=0,
    metavar="N",
    help="How long every answer takes.  [default: 0]",
)
@click.option(
    "--retry-after-ms",
    type=click.IntRange(0, 600_000),
    default=1000,
    metavar="N",
    help="The wait that a 429 asks for.  [default: 1000]",
)
def serve(name: str, port: int, failures: tuple[str, ...], seed: int, latency_ms: int, retry_after_ms: int) -> None:
    """Answer as a simulated reader over HTTP, as OpenAI and as Anthropic do, until Ctrl-C.

    For a rehearsal without a key and without cost. It listens on 127.0.0.1 only; any key and any model name will do.
    The address is printed on stdout, how to use it on stderr. Ctrl-C is how it ends: the exit code is 0.

    A repeated question gets the same answer, unless it has a temperature above 0 and no seed: then each repeat is drawn
    anew, in the order in which they come.

    \b
    needlepoint models serve sim/u-shape
    needlepoint models serve sim/perfect --port 8000 --fail rate-limit=0.2 --fail dropped=0.05
    needlepoint models serve "sim/recency?near=0.9&far=0.3" --fail overloaded=0.1 --seed 7
    needlepoint models serve sim/perfect --fail rate-limit=0.5 --retry-after-ms 100
    """
    if not name.startswith("sim/"):
        raise UsageError(f"{name!r} is no simulated reader", hint="serve one of the readers, e.g. sim/u-shape")
    rates = _rates(failures)
    from probes.serving.server import serving  # late: help needs none of it

    with serving(
        name,
        failures=rates,
        seed=seed,
        port=port,
        latency_s=latency_ms / 1000,
        retry_after_s=retry_after_ms / 1000,
        keep_requests=False,
    ) as server:
        with suppress(KeyboardInterrupt):
            _tell(name, server.url, rates)
            threading.Event().wait()
        failed = ", ".join(f"{count} {kind}" for kind, count in sorted(server.failed.items()))
        say(f"answered {server.calls} questions" + (f", with these failures: {failed}" if failed else ""))


def _rates(failures: Iterable[str]) -> dict[str, float]:
    """The options `--fail KIND=RATE` as rates by kind.

    Raises:
        UsageError: one of them is no such pair, or a kind is given twice.
    """
    rates: dict[str, float] = {}
    for text in failures:
        kind, _, number = text.partition("=")
        check_kind(kind)
        try:
            rate = float(number)
        except ValueError:
            raise UsageError(f"--fail {text} has no rate", hint=f"put it as --fail {kind}=0.1") from None
        if kind in rates:
            raise UsageError(f"--fail {kind} is given twice", hint="give each kind once")
        rates[kind] = check_rate(kind, rate)
    return rates


def _tell(name: str, url: str, rates: Mapping[str, float]) -> None:
    """Print the address, and how each SDK and our own commands find it."""
    click.echo(url)
    failing = ", ".join(f"{rate:.0%} {kind}" for kind, rate in rates.items())
    say(f"{name} answers at {url}" + (f", with failures: {failing}" if failing else ""))
    for line in (
        f'OpenAI SDK     openai.OpenAI(base_url="{url}/v1", api_key="any")',
        f'Anthropic SDK  anthropic.Anthropic(base_url="{url}", api_key="any")',
        f"needlepoint    OPENAI_API_KEY=any needlepoint probe needle -m openai/sim --base-url {url}/v1",
        f"               ANTHROPIC_API_KEY=any needlepoint probe needle -m anthropic/sim --base-url {url}",
        "Ctrl-C ends it.",
    ):
        say(line)
