"""What a call costs: dated prices, and money counted in whole nano-dollars.

A price that is not known is None and stays unknown, it never becomes zero. Own prices go into `config.toml`:

    [prices."openai/some-model"]
    input_usd = 2.50
    output_usd = 10
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from probes.models.base import Model, Usage, canonical_json

NANO = 1_000_000_000  # nano-dollars in a dollar
NANO_USD_PER_TOKEN = NANO // 1_000_000  # at one dollar per million tokens


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens, with the day and the place they were read.

    Where a price for cached tokens is None they are charged like any other input. A prompt of more than
    `long_above_tokens` is charged at the prices of `long` as a whole.

    Example: Price(Decimal("2.5"), Decimal(10), date="2026-11-22", source="the provider's price list")
    """

    input_usd: Decimal
    output_usd: Decimal
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    date: str = ""
    source: str = ""
    long_above_tokens: int | None = None
    long: "Price | None" = None

    def for_prompt(self, input_tokens: int) -> "Price":
        """The prices that hold for a prompt of so many tokens."""
        long_prompt = self.long is not None and input_tokens > (self.long_above_tokens or 0)
        return self.long if long_prompt and self.long else self


FREE = Price(Decimal(0), Decimal(0), source="runs on your own machine")


def price_of(model: Model) -> Price | None:
    """What this model's tokens cost: nothing for a free one, else as in config.toml, else as shipped; None if unknown.

    Shipped prices are the provider's own: they do not hold for the same name at another base URL.

    Raises:
        UsageError: config.toml cannot be read.
    """
    if model.traits.free:
        return FREE
    from probes.models.facts import facts_of  # late: it brings pydantic

    return facts_of(model.name, model.identity.get("endpoint")).price


def cost_nano_usd(price: Price | None, usage: Usage) -> int | None:
    """What a call did cost, in billionths of a dollar, rounded up; None where the price or the tokens are unknown.

    `usage.input_tokens` is the whole prompt, with what was read from and written to a cache; counts of those that the
    server did not give are taken as zero.

    Example: cost_nano_usd(Price(Decimal(3), Decimal(15)), Usage(input_tokens=1000, output_tokens=10)) -> 3_150_000
    """
    if price is None:
        return None
    if not (price.input_usd or price.output_usd or price.long):
        return 0
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    now = price.for_prompt(usage.input_tokens)
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    rest = max(0, usage.input_tokens - read - written)
    return _nano_usd(
        rest * now.input_usd
        + read * (now.input_usd if now.cache_read_usd is None else now.cache_read_usd)
        + written * (now.input_usd if now.cache_write_usd is None else now.cache_write_usd)
        + usage.output_tokens * now.output_usd
    )


def most_nano_usd(price: Price, input_tokens: int, max_tokens: int) -> int:
    """The most that a call of so many tokens can cost, in billionths of a dollar: nothing cached, the answer full.

    Example: most_nano_usd(Price(Decimal(3), Decimal(15)), input_tokens=1000, max_tokens=100) -> 4_500_000
    """
    now = price.for_prompt(input_tokens)
    dearest = max(now.input_usd, now.cache_write_usd or Decimal(0))
    return _nano_usd(input_tokens * dearest + max_tokens * now.output_usd)


def price_json(price: Price) -> str:
    """The price as canonical JSON, to be kept beside what was paid at it.

    Example: price_json(Price(Decimal(3), Decimal(15))) -> '{"input_usd":3.0,"output_usd":15.0}'
    """
    return canonical_json(_as_json(price))


def _as_json(price: Price) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in price.__slots__:
        value = getattr(price, name)
        if isinstance(value, Price):
            found[name] = _as_json(value)
        elif value not in (None, ""):
            found[name] = float(value) if isinstance(value, Decimal) else value
    return found


def _nano_usd(per_million: Decimal) -> int:
    """Tokens times dollars per million, in billionths of a dollar."""
    return int((per_million * NANO_USD_PER_TOKEN).to_integral_value(ROUND_CEILING))
