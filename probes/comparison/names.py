"""What contenders are called, so that no two have the same name."""

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_VALUE = 20  # a longer one, such as a hash, is cut: eight characters tell two of them apart
Named = tuple[str, Mapping[str, Any], str, bool]  # model, identity, run, whether of the baseline


def named(contenders: Sequence[Named]) -> list[str]:
    """A label for each contender: its model, and where that does not tell it apart what does.

    First what differs in the identities (a form, an address, weights), then the run, then a number; the baseline is
    always said to be it.

    Example: named([("local/a", {"form": "chat"}, "r1", False), ("local/a", {"form": "completion"}, "r2", False)]) ->
    ["local/a (form chat)", "local/a (form completion)"]
    """
    labels = [_with(model, "baseline") if is_baseline else model for model, _, _, is_baseline in contenders]
    for words in (_differences(contenders), [f"run {run}" for _, _, run, _ in contenders]):
        ambiguous = {label for label in labels if labels.count(label) > 1}
        labels = [
            _with(label, word) if label in ambiguous and word else label
            for label, word in zip(labels, words, strict=True)
        ]
    return [
        _with(label, f"number {labels[: place + 1].count(label)}") if labels.count(label) > 1 else label
        for place, label in enumerate(labels)
    ]


def _differences(contenders: Sequence[Named]) -> list[str]:
    """What tells the identity of each from those of its namesakes."""
    found = []
    for model, identity, *_ in contenders:
        namesakes = [other for name, other, *_ in contenders if name == model]
        keys = dict.fromkeys(key for each in namesakes for key in each)
        differing = [key for key in keys if any(each.get(key) != identity.get(key) for each in namesakes)]
        found.append(", ".join(f"{key.replace('_', ' ')} {_short(identity.get(key))}" for key in differing))
    return found


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:8]}..."


def _with(label: str, word: str) -> str:
    """Add a word in brackets. Example: "local/a (form chat)" and "baseline" -> "local/a (form chat, baseline)"."""
    return f"{label[:-1]}, {word})" if label.endswith(")") else f"{label} ({word})"
