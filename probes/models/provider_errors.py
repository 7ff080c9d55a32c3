"""What a provider, a server or an SDK says about a failure, translated once into our own tree of errors.

Both SDKs give their exceptions the same names, so that one translation serves both. What is not known here is a bug,
and stays what it is.
"""

import json
import re
import time
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from probes.models.base import (
    AGAIN,
    KEPT,
    AccessDenied,
    ContextTooLong,
    ModelError,
    RateLimited,
    RequestRejected,
    Transient,
)
from probes.redaction import REDACTED, redacted

# Where money or right is missing, whatever the status: another attempt would only repeat the answer.
_NO_ACCESS = re.compile(
    r"insufficient_quota|billing_(hard_limit|not_active|error)|spend_limit_reached|credit balance is too low"
    r"|api[ _]key not valid|API_KEY_INVALID|authentication_error|permission_error|invalid_api_key",
    re.IGNORECASE,
)
# OpenAI; Anthropic; llama.cpp; vLLM, Mistral, DeepSeek, OpenRouter; Gemini; xAI; LM Studio; Bedrock.
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceeds the context window"
    r"|prompt is too long|exceed context limit"
    r"|exceed_context_size|exceeds the available context size"
    r"|maximum context length|maximum model length|max_model_len"
    r"|exceeds the maximum number of tokens allowed"
    r"|maximum prompt length"
    r"|greater than the context length"
    r"|input is too long",
    re.IGNORECASE,
)
_NOT_TAKEN = re.compile(
    r"unsupported|not (?:be )?(?:support|permit|allow|recogni|availab|accept)|n[o']t support|deprecated|unrecogni[sz]ed"
    r"|unknown|unexpected|extra inputs|no longer|may only be set|only the default",
    re.IGNORECASE,
)
# Kinds of errors that come without a status of their own: in the middle of a stream, or inside a 200.
_STATUS_OF_KIND = {
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "invalid_request_error": 400,
    "exceed_context_size_error": 400,
    "context_length_exceeded": 400,
    "not_found_error": 404,
    "request_too_large": 413,
    "overloaded_error": 529,
}


def model_error(err: Exception, sdk: ModuleType, who: str, key: str) -> ModelError | None:
    """Our error for one of the SDK's or the transport's; None for an exception that is nobody's to expect.

    Args:
        err: what was raised.
        sdk: the package `anthropic` or `openai`.
        who: the model's name, for the message.
        key: the key in use, which must not appear in a message, whoever quotes it.
    """

    def told(what: str) -> str:
        return redacted(f"{who}: {what.replace(key, REDACTED)}")

    import httpx2

    if isinstance(err, sdk.APIStatusError):
        return _from_status(err.status_code, err.body, err.response.headers, told)
    if isinstance(err, sdk.APIConnectionError):
        cause = err.__cause__
        if cause is not None and not isinstance(cause, httpx2.HTTPError | OSError):
            return None  # the SDK wraps every exception of the transport, also a bug
        return Transient(told(f"{_lost(err, sdk)} ({type(cause or err).__name__}{_words(cause)})"), hint=_SERVER_HINT)
    if isinstance(err, sdk.APIError) and not isinstance(err, sdk.APIResponseValidationError):
        return _from_status(None, err.body, {}, told)  # an error event in the middle of a stream
    if isinstance(err, httpx2.HTTPError):
        return Transient(told(f"the connection broke ({type(err).__name__}{_words(err)})"))
    broken = sdk.APIResponseValidationError | json.JSONDecodeError | UnicodeDecodeError | RecursionError
    unreadable = isinstance(err, broken)
    return Transient(told("its answer could not be read")) if unreadable else None


_CANNOT = "this model cannot answer such a request: check its name and the options"
_SERVER_HINT = f"is the server running, and its address right? {AGAIN}"


def _lost(err: Exception, sdk: ModuleType) -> str:
    return "no answer in time" if isinstance(err, sdk.APITimeoutError) else "cannot be reached"


def _words(cause: BaseException | None) -> str:
    return f": {cause}" if cause is not None and str(cause) else ""


def error_in_body(body: Mapping[str, Any], who: str, key: str) -> ModelError:
    """The error inside a reply that says 200, as some gateways send it."""
    return _from_status(None, body, {}, lambda what: redacted(f"{who}: {what.replace(key, REDACTED)}"))


def _from_status(status: int | None, body: Any, headers: Mapping[str, str], told: Any) -> ModelError:
    detail = _detail(body)
    kinds = " ".join(str(detail.get(name)) for name in ("code", "type", "status") if detail.get(name))
    message = str(detail.get("message") or detail.get("detail") or "no reason given")
    said = f"{kinds} {message} {_error_code(detail)}"
    if status is None or status < 300:
        status = _status_of(detail)
    what = told(f"{status}: {message}" if status else message)
    wait = retry_after_s(headers, detail)
    if status in {401, 402, 403} or _NO_ACCESS.search(said):
        return AccessDenied(what, hint=f"check the key, its rights and the account's credit; {KEPT}")
    if status == 429 and "Request too large for" in message:
        return RequestRejected(what, hint="it is longer than this account may send in a minute: use a shorter text")
    if status == 429:
        return RateLimited(what, retry_after=wait)
    if status is None or status in {408, 409} or status >= 500:
        return Transient(what, retry_after=wait)
    if _TOO_LONG.search(said):
        return ContextTooLong(what, hint="use a shorter text or a model with a larger window")
    # A prompt is not sent on to wherever the server says.
    moved = "it is asked at another address: name that one, --base-url or config.toml"
    return RequestRejected(what, hint=moved if status < 400 else _CANNOT)


def _detail(body: Any) -> Mapping[str, Any]:
    """The part of an error's body that tells, in any provider's form."""
    if isinstance(body, list) and body:
        body = body[0]  # Gemini's compatible endpoint
    if isinstance(body, Mapping):
        body = body.get("error", body)
    return body if isinstance(body, Mapping) else {"message": str(body or "").strip()[:500]}


def _error_code(detail: Mapping[str, Any]) -> str:
    details = detail.get("details")
    return str(details.get("error_code", "")) if isinstance(details, Mapping) else ""


def _status_of(detail: Mapping[str, Any]) -> int | None:
    for name in ("code", "type"):
        found = detail.get(name)
        if str(found).isdecimal() and 400 <= int(str(found)) < 600:
            return int(str(found))
        if found in _STATUS_OF_KIND:
            return _STATUS_OF_KIND[str(found)]
    return None


def retry_after_s(headers: Mapping[str, str], detail: Mapping[str, Any]) -> float | None:
    """Seconds to wait as the server asks for: `retry-after` in seconds or as a date, or Gemini's `retryDelay`."""
    asked = headers.get("retry-after", "").strip()
    details = detail.get("details")
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, Mapping) else None
        if isinstance(delay, str) and not asked:
            asked = delay.removesuffix("s")
    if not asked:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", asked):
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def rejected_parameter(err: Exception, names: Collection[str]) -> str | None:
    """The one of the parameters that a 400 or 422 says the model does not take; None where it says something else.

    Example: "Unsupported value: 'temperature' does not support 0 with this model." -> "temperature"
    """
    if getattr(err, "status_code", None) not in {400, 422}:
        return None
    detail = _detail(getattr(err, "body", None))
    message = str(detail.get("message") or detail.get("detail") or "")
    if not _NOT_TAKEN.search(f"{detail.get('code')} {message}"):
        return None
    for name in names:
        if detail.get("param") == name or re.search(rf"[`'\"]{name}[`'\"]|\b{name}\b(?=:| is | does | may )", message):
            return name
    return None
