"""What is known of models by name, windows and prices: from config.toml, and from the dated list that is shipped."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from probes.config import Config, LongPrompt, ModelFacts, Prices, read_config, read_toml
from probes.models.endpoints import find_endpoint
from probes.prices import Price

SHIPPED = Path(__file__).parents[1] / "data" / "models.toml"
_SNAPSHOT = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")  # claude-haiku-4-5-20251001, gpt-4o-2024-11-20


@dataclass(frozen=True)
class Facts:
    """What is known of one model; None is unknown."""

    window: int | None = None
    price: Price | None = None


def facts_of(name: str, endpoint: object) -> Facts:
    """What is known of the model `name` at the endpoint with this identity.

    The user's row wins, then the prices of the user's endpoint, then the shipped row: these two only where the model is
    asked at the endpoint that they were written for. A snapshot with a date in its name has the row of the name without
    it, if it has none of its own.

    Raises:
        UsageError: config.toml cannot be read.

    Example: facts_of("openai/gpt-4o-mini", "api.openai.com").window -> 128000
    """
    config = read_config()
    rows = [_row(config.prices, name)]
    provider = name.partition("/")[0]
    declared = find_endpoint(provider)
    if declared is not None and declared.identity == endpoint:
        settings = config.endpoints.get(provider)
        if settings and settings.prices:
            rows.append(ModelFacts(**settings.prices.model_dump()))
        rows.append(_row(_shipped().prices, name))
    known = [row for row in rows if row is not None]
    return Facts(
        window=next((row.window for row in known if row.window), None),
        price=next((price for row in known if (price := _price(row))), None),
    )


def _row(rows: dict[str, ModelFacts], name: str) -> ModelFacts | None:
    return rows.get(name) or rows.get(_SNAPSHOT.sub("", name))


@cache
def _shipped() -> Config:
    return read_toml(SHIPPED, Config)


def _price(row: ModelFacts) -> Price | None:
    date = row.date.isoformat() if row.date else ""
    source = row.source or "config.toml"

    def made(prices: Prices, long: LongPrompt | None = None) -> Price | None:
        if prices.input_usd is None or prices.output_usd is None:
            return None
        return Price(
            input_usd=prices.input_usd,
            output_usd=prices.output_usd,
            cache_read_usd=prices.cache_read_usd,
            cache_write_usd=prices.cache_write_usd,
            date=date,
            source=source,
            long_above_tokens=long.above_tokens if long else None,
            long=made(long) if long else None,
        )

    return made(row, row.long_prompt)
