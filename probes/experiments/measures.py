"""Which models can be measured how: a likelihood needs a model that says how likely a given text is."""

from collections.abc import Sequence

from probes.experiment_file import ExperimentOptions
from probes.models.base import Model
from tokenizer.errors import UsageError

BY_LIKELIHOOD = ("likelihood", "margin")  # of `probe needle`, of `probe placement`


def with_possible_measures(options: ExperimentOptions, models: Sequence[Model]) -> tuple[ExperimentOptions, str | None]:
    """The options as they were asked for; without what a model cannot do where nobody asked for it, and a word on that.

    Raises:
        UsageError: it was asked for, and there is a model that gives no log-probabilities of given texts.
    """
    impossible = [measure for measure in options.measure if measure in BY_LIKELIHOOD]
    unable = [model.name for model in models if not model.traits.continuations]
    if not impossible or not unable:
        return options, None
    able = [model.name for model in models if model.traits.continuations]
    [measure], who = impossible, ", ".join(unable)
    others = tuple(each for each in options.measure if each != measure)
    if "measure" in options.model_fields_set or not others:
        instead = f"ask {', '.join(able)} alone" if able else "ask a model that runs here, e.g. local/smollm2-135m"
        also = f", or leave --measure {measure} out" if others else ""
        raise UsageError(
            f"--measure {measure} needs log-probabilities of given texts, and {who} gives none",
            hint=f"{instead}{also}; local/... and sim/... give them",
        )
    apart = f"; ask {', '.join(able)} alone for that" if able else ""
    word = (
        f"{who} gives no log-probabilities of given texts, so only {', '.join(others)} is measured, not the {measure}"
    )
    return options.model_copy(update={"measure": others}), word + apart
