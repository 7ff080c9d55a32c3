"""What a user may say about how a model is asked, beside its name. Each adapter takes what concerns it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Form = Literal["chat", "completion"]


@dataclass(frozen=True)
class ModelOptions:
    """The options of one model of a run.

    `extra`: fields that the provider knows and we do not, sent with every request and part of the model's identity.
    `form`: a local model gets the messages in its chat template ("chat") or as plain text ("completion"); None leaves
    it to the model. `threads`: of a local model. `window`: tokens of prompt and answer, in place of what is known of
    the model. `cache_prompts`: a provider that must be told keeps what requests share. `stream`: the answer comes in
    pieces, so that the time of the first is known.

    Example: ModelOptions(extra={"top_k": 20}, window=32_768)
    """

    extra: Mapping[str, Any] = field(default_factory=dict)
    form: Form | None = None
    threads: int | None = None
    window: int | None = None
    cache_prompts: bool = False
    stream: bool = True


DEFAULT_OPTIONS = ModelOptions()
