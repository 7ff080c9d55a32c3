"""Models under test, by name: `load_model("local/smollm2-135m")`."""

import difflib

from probes.models.base import Model
from tokenizer.errors import UsageError

FORMS = "local/NAME, local/FILE.gguf or sim/NAME?key=value"


def load_model(name: str) -> Model:
    """The model that `name` names, not started yet.

    `local/NAME` is one that `needlepoint models fetch` knows, `local/FILE.gguf` any weights by their path, and
    `sim/NAME?key=value` a simulated reader. UsageError for a name of no known form, ModelError for missing weights.

    Example: load_model("sim/perfect").name -> "sim/perfect"
    """
    provider, _, rest = name.partition("/")
    if provider == "sim" and rest:
        from probes.models.sim import simulated_model

        return simulated_model(name)
    if provider == "local" and rest:
        return _local_model(name, rest)
    raise _unknown(name)


def _local_model(name: str, rest: str) -> Model:
    from probes.models.local import LocalModel
    from probes.models.weights import EMBEDDED, check_weights, weights_path

    if rest in EMBEDDED:
        check_weights(rest)
        return LocalModel(name, weights_path(rest), window=EMBEDDED[rest].window)
    if rest.endswith(".gguf"):
        return LocalModel(name, weights_path(rest))
    raise _unknown(name)


def _unknown(name: str) -> UsageError:
    from probes.models.weights import EMBEDDED

    known = [f"local/{embedded}" for embedded in EMBEDDED]
    wanted = name if "/" in name else f"local/{name}"
    nearest = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    suggestion = f"did you mean {nearest[0]}? " if nearest else ""
    return UsageError(f"no model named {name!r}", hint=f"{suggestion}a model is {FORMS}; see `needlepoint models list`")
