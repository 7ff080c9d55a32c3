"""What looks like a key never reaches the store."""

from pathlib import Path

import pytest

from probes.models.base import (
    AccessDenied,
)
from probes.redaction import redacted
from probes.store import Store
from tests.probes.store_helpers import PLAN, StillModel


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("bad key sk-proj-abc_DEF-123456789 given", "bad key [redacted] given"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("'x-api-key': 'q1w2e3r4'", "'x-api-key': '[redacted]'"),
        ('{"api_key": "short1"}', '{"api_key": "[redacted]"}'),
        ("GET https://me:secret@host/v1?key=abc&x=1", "GET https://[redacted]@host/v1?key=[redacted]&x=1"),
        ("AIzaSyA-1234567890abcdefghij", "[redacted]"),
        ("no model claude-sonnet-4-5-20250929 at https://host/v1", None),
        ("the prompt has 4096 tokens, the window 2048", None),
    ],
)
def test_what_looks_like_a_key_is_cut(text: str, kept: str | None) -> None:
    assert redacted(text) == (kept or text)


def test_a_key_of_this_environment_is_cut_whatever_it_looks_like(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "plain words only")
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        store.fail(attempt, AccessDenied("the key plain words only is wrong. " + "A very long page. " * 400))
        text = store.results(run.id)[0].error_text
    assert text is not None
    assert text.startswith("the key [redacted] is wrong.")
    assert len(text) == 500
    assert b"plain words only" not in b"".join(one.read_bytes() for one in path.parent.iterdir() if one.is_file())
