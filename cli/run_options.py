"""The options of every command that asks models: how far it may go, how they are asked, and where runs are kept."""

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cli.options import PAGE_TO_WRITE, base_url_option, jobs_option, store_option
from tokenizer.errors import UsageError

if TYPE_CHECKING:
    from probes.budget import Limits
    from probes.models.options import ModelOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is to be carried out. None: as the model, or the run, has it by itself."""

    store: Path | None
    jobs: int
    max_retries: int
    timeout_s: float | None
    trial_timeout_s: float | None
    max_cost_usd: float | None
    max_tokens_total: int | None
    allow_unpriced: bool
    dry_run: bool
    report: Path | None
    retry_errors: bool
    fresh: bool
    keep_prompts: bool
    base_url: str | None
    extra: Mapping[str, Any]
    form: Literal["chat", "completion"] | None
    threads: int | None
    window: int | None
    cache_prompts: bool

    def limits(self) -> "Limits":
        """How far the run may go, as the runner takes it."""
        from probes.budget import Limits
        from probes.prices import NANO

        return Limits(
            jobs=self.jobs,
            max_attempts=self.max_retries + 1,
            timeout_s=self.timeout_s,
            trial_timeout_s=self.trial_timeout_s,
            max_cost_nano_usd=None if self.max_cost_usd is None else round(self.max_cost_usd * NANO),
            max_tokens_total=self.max_tokens_total,
            allow_unpriced=self.allow_unpriced,
        )

    def model_options(self) -> "ModelOptions":
        """How each model is to be asked, as `load_model` takes it."""
        from probes.models.options import ModelOptions

        return ModelOptions(
            extra=self.extra,
            form=self.form,
            threads=self.threads,
            window=self.window,
            cache_prompts=self.cache_prompts,
        )


class Amount(click.ParamType[float]):
    """A number above zero, and not infinite."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a complaint that names the option."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is no number", param, ctx)
        if not math.isfinite(number) or number <= 0:
            self.fail(f"{value} is no finite number above zero", param, ctx)
        return number


OPTIONS = (
    store_option,
    jobs_option,
    click.option(
        "--max-cost",
        "max_cost_usd",
        type=Amount(),
        metavar="USD",
        help="Stop before it has cost more, e.g. 2.50, from the first start on; what is missing can be asked later.",
    ),
    click.option(
        "--max-tokens-total",
        type=click.IntRange(min=1),
        metavar="N",
        help="Stop before the run has taken more tokens, of prompts and answers together.",
    ),
    click.option(
        "--allow-unpriced",
        is_flag=True,
        help="With --max-cost: also ask models whose price is unknown; their calls are left out of the sum.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Ask nobody and keep nothing: say what the run would ask, take and cost."
    ),
    click.option(
        "--report",
        type=PAGE_TO_WRITE,
        metavar="FILE.html",
        help="Also write one HTML page about all of it, as `runs report` does, e.g. study.html.",
    ),
    click.option(
        "--max-retries",
        type=click.IntRange(min=0, max=100),
        default=5,
        show_default=True,
        metavar="N",
        help="How often a call that failed for a time is tried again, with growing waits.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=Amount(),
        metavar="S",
        help="Seconds that one call may take.  [default: 600; no limit for a model that runs here]",
    ),
    click.option(
        "--trial-timeout",
        "trial_timeout_s",
        type=Amount(),
        metavar="S",
        help="Seconds that one trial may take in all, its retries and waits included.  [default: 1200; as above]",
    ),
    click.option(
        "--retry-errors", is_flag=True, help="Ask again also for what was refused for good, e.g. as too long."
    ),
    click.option(
        "--fresh", is_flag=True, help="Ask everything anew, as further samples; nothing that is kept is deleted."
    ),
    click.option(
        "--keep-prompts", is_flag=True, help="Keep the prompts themselves too, not only how to make them again."
    ),
    base_url_option,
    click.option(
        "--extra",
        multiple=True,
        metavar="KEY=VALUE",
        help='A field to send with every request, e.g. top_k=20 or reasoning=\'{"effort": "low"}\'. May be repeated.',
    ),
    click.option(
        "--form",
        type=click.Choice(["chat", "completion"]),
        help="Give a local model the prompt as a chat, or as plain text to go on from.  [default: as it is made for]",
    ),
    click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Processor threads for a local model."),
    click.option(
        "--window",
        type=click.IntRange(min=1),
        metavar="N",
        help="Tokens that prompt and answer may have together, in place of what is known of the model.",
    ),
    click.option(
        "--cache-prompts",
        is_flag=True,
        help="Let the provider keep what prompts have in common, and ask those one after the other.",
    ),
)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a run; the command gets them as one keyword `run: RunOptions`."""
    names = [field.name for field in fields(RunOptions)]

    @functools.wraps(command)
    def with_run(**given: Any) -> None:
        values = {name: given.pop(name) for name in names}
        values["extra"] = parsed_extra(values["extra"])
        if values["report"] is not None:
            _check_report(dry_run=values["dry_run"])
        command(run=RunOptions(**values), **given)

    wrapped: Callable[..., None] = with_run
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _check_report(*, dry_run: bool) -> None:
    """Refuse a report that cannot be made, before the first call and not after the last."""
    if dry_run:
        raise UsageError("--report tells what was found, and --dry-run asks nobody", hint="leave one of them out")
    from probes.pages import need_libraries

    need_libraries()


def parsed_extra(given: tuple[str, ...]) -> dict[str, Any]:
    """The fields of --extra; a value is JSON where it can be read as that, and text elsewhere.

    Example: ("top_k=20", "user=me") -> {"top_k": 20, "user": "me"}

    Raises:
        UsageError: no name or no value, or one name twice.
    """
    found: dict[str, Any] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not key.strip() or not equals:
            raise UsageError(f"--extra {each!r} is not KEY=VALUE", hint="e.g. --extra top_k=20")
        if key.strip() in found:
            raise UsageError(f"--extra gives {key.strip()!r} twice", hint="give the one that you mean")
        found[key.strip()] = _json_or_text(value)
    return found


def _json_or_text(value: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)  # NaN and its like are no JSON

    try:
        return json.loads(value, parse_constant=refuse)
    except ValueError:
        return value
