"""What a server says about a failure may quote our own key or prompt back; this is cut before it is kept or shown."""

import os
import re

LONGEST_ERROR = 500
REDACTED = "[redacted]"

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_LOOKS_LIKE_A_KEY = re.compile(
    r"""
    (?P<label>
        Bearer\ | ://(?=[^/\s@]+@)                                         # a header; user:password in a URL
        | (?:api[-_ ]?key(?:\ provided)?|[?&](?:key|token)|secret|password)["']?\s*[:=]\s*["']?
    )
    [^\s"'&,}@]+
    | \b(?:sk|pk|rk|gsk|hf|ghp|xai|r8|nvapi|pplx)[-_][A-Za-z0-9_\-]{8,}   # the prefixes that providers give their keys
    | \bAIza[A-Za-z0-9_\-]{16,}
    | \b(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9+/=]{32,}           # a long run of letters and digits, no word
    """,
    re.VERBOSE | re.IGNORECASE,
)


def redacted(text: str, *, whole: bool = False) -> str:
    """The text without anything that is a key in this environment or looks like one, cut at 500 characters.

    `whole`: it is not cut, and only the keys of this environment are taken out.

    Example: redacted("401: bad key sk-abcdefgh12345") -> '401: bad key [redacted]'
    """
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, REDACTED)
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair cannot be stored
    if whole:
        return text
    text = _LOOKS_LIKE_A_KEY.sub(lambda found: (found["label"] or "") + REDACTED, text)
    return text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 1] + "…"
