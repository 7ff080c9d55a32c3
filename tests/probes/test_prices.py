"""What calls cost, in whole billionths of a dollar, against sums made by hand."""

import tomllib
from decimal import Decimal
from typing import Any

import pytest

from probes.config import config_path
from probes.models import load_model
from probes.models.base import Usage
from probes.models.facts import SHIPPED
from probes.prices import Price, cost_nano_usd, most_nano_usd, price_json, price_of

PRICE = Price(Decimal(3), Decimal(15), Decimal("0.30"), Decimal("3.75"), date="2026-11-22", source="a list")
TWO_STEPS = Price(
    Decimal("0.10"),
    Decimal("0.50"),
    long_above_tokens=100,
    long=Price(Decimal("0.50"), Decimal("2.50"), Decimal("0.05")),
)


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (Usage(1000, 100), 3_000_000 + 1_500_000),
        (Usage(1000, 100, cache_read_tokens=900, cache_write_tokens=50), 50 * 3000 + 900 * 300 + 50 * 3750 + 1_500_000),
        (Usage(1000, 100, cache_read_tokens=0), 4_500_000),
        (Usage(0, 0), 0),
        (Usage(1000, None), None),
        (Usage(None, 100), None),
        (Usage(), None),
    ],
)
def test_what_a_call_did_cost(usage: Usage, nano_usd: int | None) -> None:
    assert cost_nano_usd(PRICE, usage) == nano_usd
    assert cost_nano_usd(None, usage) is None


def test_without_prices_of_a_cache_all_input_is_charged_alike() -> None:
    price = Price(Decimal(3), Decimal(15))
    assert cost_nano_usd(price, Usage(1000, 0, cache_read_tokens=400, cache_write_tokens=400)) == 3_000_000


def test_a_long_prompt_is_dearer_as_a_whole() -> None:
    assert cost_nano_usd(TWO_STEPS, Usage(100, 10)) == 100 * 100 + 10 * 500
    assert cost_nano_usd(TWO_STEPS, Usage(101, 10)) == 101 * 500 + 10 * 2500
    assert cost_nano_usd(TWO_STEPS, Usage(101, 10, cache_read_tokens=100)) == 500 + 100 * 50 + 10 * 2500


def test_parts_of_a_billionth_are_rounded_up() -> None:
    assert cost_nano_usd(Price(Decimal("0.0001"), Decimal(0)), Usage(1, 0)) == 1


def test_no_call_costs_more_than_its_most() -> None:
    for price in (PRICE, TWO_STEPS):
        for tokens in (1, 100, 101, 5000):
            for read, written in ((0, 0), (tokens, 0), (0, tokens), (tokens // 2, tokens // 3)):
                cost = cost_nano_usd(price, Usage(tokens, 64, cache_read_tokens=read, cache_write_tokens=written))
                assert cost is not None
                assert cost <= most_nano_usd(price, tokens, 64)
    assert most_nano_usd(PRICE, 1000, 100) == 1000 * 3750 + 100 * 15_000


def test_the_price_is_kept_as_it_was() -> None:
    assert price_json(PRICE) == (
        '{"cache_read_usd":0.3,"cache_write_usd":3.75,"date":"2026-11-22",'
        '"input_usd":3.0,"output_usd":15.0,"source":"a list"}'
    )
    assert '"long":{"cache_read_usd":0.05,"input_usd":0.5,"output_usd":2.5},"long_above_tokens":100' in price_json(
        TWO_STEPS
    )


def price(name: str, base_url: str | None = None) -> tuple[Any, Any] | None:
    found = price_of(load_model(name, base_url=base_url))
    return (found.input_usd, found.output_usd) if found else None


def test_what_is_known_and_what_is_not() -> None:
    assert price("openai/gpt-4o-mini") == (Decimal("0.15"), Decimal("0.60"))
    assert price("openai/gpt-4o-mini-2024-07-18") == price("openai/gpt-4o-mini")  # a snapshot
    assert price("openai/gpt-4o-2024-05-13") == (5, 15)  # one with a price of its own
    assert price("anthropic/claude-haiku-4-5-20251001") == (1, 5)
    assert price("openai/gpt-4o-mini-of-mine") is None
    assert price("openai/gpt-4o-mini", "https://gateway.example/v1") is None
    assert price("openrouter/openai/gpt-4o-mini") is None
    assert price("ollama/anything") == (0, 0)
    assert price("ollama/anything", "https://ollama.example/v1") is None
    assert cost_nano_usd(price_of(load_model("ollama/anything")), Usage()) == 0


def test_own_prices_come_first() -> None:
    config_path().parent.mkdir()
    config_path().write_text(
        '[prices."openai/gpt-4o-mini"]\ninput_usd = 0.0625\noutput_usd = 1\n[prices."openai/mine"]\nwindow = 99\n'
        '[endpoints.lab]\nkind = "openai"\nbase_url = "http://h:1/v1"\nprices = {input_usd = 2, output_usd = 4}\n'
        '[prices."lab/b"]\ninput_usd = 8\noutput_usd = 9\n'
        "long_prompt = {above_tokens = 10, input_usd = 16, output_usd = 18}\n",
        encoding="utf-8",
    )
    assert price("openai/gpt-4o-mini") == price("openai/gpt-4o-mini", "http://127.0.0.1:1/v1") == (Decimal("0.0625"), 1)
    assert load_model("openai/gpt-4o-mini").traits.window == 128_000  # what the row leaves out stays known
    assert (price("openai/mine"), load_model("openai/mine").traits.window) == (None, 99)
    assert (price("lab/a"), price("lab/b"), price("lab/a", "http://other:1/v1")) == ((2, 4), (8, 9), None)
    assert cost_nano_usd(price_of(load_model("lab/b")), Usage(11, 1)) == 11 * 16_000 + 18_000


def test_every_shipped_row_is_dated_and_whole() -> None:
    rows = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))["prices"]
    assert len(rows) > 10
    for name, row in rows.items():
        found = price_of(load_model(name))
        assert found, name
        assert row["date"]
        assert "https://" in row["source"], name
        assert 0 < found.input_usd < found.output_usd
        assert (found.cache_read_usd or 0) < found.input_usd
        assert found.long is None or found.long.input_usd > found.input_usd
        assert load_model(name).traits.window == row.get("window")
