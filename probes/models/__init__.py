"""Models under test, by name: `load_model("local/smollm2-135m")`, `load_model("anthropic/claude-sonnet-5-5")`."""

import difflib

from probes.models.base import Model
from probes.models.options import DEFAULT_OPTIONS, ModelOptions
from tokenizer.errors import UsageError

FORMS = "anthropic/MODEL, openai/MODEL, ENDPOINT/MODEL, local/NAME, local/FILE.gguf or sim/NAME?key=value"
ENTRY_POINTS = "needlepoint.models"


def load_model(name: str, *, base_url: str | None = None, options: ModelOptions = DEFAULT_OPTIONS) -> Model:
    """The model that `name` names, not started yet: nothing is sent and no SDK is imported.

    `anthropic/MODEL`, `openai/MODEL` and `ENDPOINT/MODEL` are asked over HTTP; an endpoint is one that is shipped or
    stands in config.toml, and `base_url` puts another address in its place. `local/NAME` is one that
    `needlepoint models fetch` knows, `local/FILE.gguf` any weights by their path, and `sim/NAME?key=value` a simulated
    reader. Other installed packages may bring more.

    Raises:
        UsageError: a name of no known form, a base URL for a model that has none, a config.toml that cannot be read.
        ModelError: missing weights.

    Example: load_model("sim/perfect").name -> "sim/perfect"
    """
    provider, _, rest = name.partition("/")
    if not rest:
        raise _unknown(name)
    if provider in {"sim", "local"}:
        if base_url:
            raise UsageError(f"{name} is not reached over HTTP", hint="leave --base-url out, or name a hosted model")
        return _simulated(name, options) if provider == "sim" else _local_model(name, rest, options)
    from probes.models.endpoints import find_endpoint  # late: it brings pydantic
    from probes.plugins import plugin

    if endpoint := find_endpoint(provider, base_url):
        from probes.models.hosted import hosted_model

        return hosted_model(endpoint, rest, options)
    if factory := plugin(ENTRY_POINTS, provider):
        if base_url:
            raise UsageError(f"{name} takes no base URL", hint="leave --base-url out")
        made: Model = factory(name, options)
        return made
    raise _unknown(name)


def check_access(model: Model) -> None:
    """Look for what a model needs beside the request, such as its key, without asking anybody.

    Raises:
        AccessDenied: the key is missing; the message names the variable that should hold it.
    """
    look = getattr(model, "check_access", None)
    if look is not None:
        look()


def _simulated(name: str, options: ModelOptions) -> Model:
    from probes.models.sim import simulated_model

    if options.extra:
        raise UsageError(f"{name} takes no --extra", hint="its parameters belong to its name: sim/u-shape?edge=0.9")
    return simulated_model(name)


def _local_model(name: str, rest: str, options: ModelOptions) -> Model:
    from probes.models.local import LocalModel
    from probes.models.weights import EMBEDDED, check_weights, weights_path

    if rest in EMBEDDED:
        check_weights(rest)
        return LocalModel(name, weights_path(rest), options)
    if rest.endswith(".gguf"):
        return LocalModel(name, weights_path(rest), options)
    raise _unknown(name)


def _unknown(name: str) -> UsageError:
    from probes.models.endpoints import endpoint_names
    from probes.models.weights import EMBEDDED

    known = [f"local/{embedded}" for embedded in EMBEDDED]
    wanted = name if "/" in name else f"local/{name}"
    nearest = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    if not nearest and "/" in name:
        provider, _, rest = name.partition("/")
        nearest = [f"{close}/{rest}" for close in difflib.get_close_matches(provider, endpoint_names(), n=1)]
    suggestion = f"did you mean {nearest[0]}? " if nearest else ""
    return UsageError(f"no model named {name!r}", hint=f"{suggestion}a model is {FORMS}; see `needlepoint models list`")
