"""The loopback server's HTTP, its prompt cache, and what hostile clients may send."""

import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from probes.serving.prompt_cache import Piece, PromptCache
from probes.serving.server import Server, serving
from tokenizer.errors import UserError


@pytest.fixture(scope="module")
def perfect() -> Iterator[Server]:
    with serving("sim/perfect") as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_odd_characters_come_back_as_they_were(perfect: Server, path: str, stream: bool) -> None:
    odd = "\ud800 and \U0001f41f and \u0000"
    prompt = f"The best thing in Dunmore is {odd}.\n\nWhat is the best thing in Dunmore?"
    body = {"model": "sim", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": prompt}]}
    text = httpx2.post(perfect.url + path, content=json.dumps(body).encode()).content.decode("utf-8")
    if stream:
        events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
        deltas = [event["choices"][0]["delta"] for event in events if "choices" in event]
        deltas += [event["delta"] for event in events if event.get("type") == "content_block_delta"]
        answer = "".join(delta.get("content") or delta.get("text") or "" for delta in deltas)
    else:
        whole = json.loads(text)
        answer = whole["choices"][0]["message"]["content"] if "choices" in whole else whole["content"][0]["text"]
    assert answer == f"{odd}."


def test_nesting_without_end_is_a_bad_request(perfect: Server) -> None:
    reply = httpx2.post(f"{perfect.url}/v1/messages", content=b'{"messages":' + b"[" * 100_000)
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", b"413"),
        (b"GET /" + b"x" * 70_000, b"431"),
        (b"GET /elsewhere HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /v1/messages HTTP/1.0\r\n\r\n", b"405"),
        (b"POST /v1/messages HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n[1]", b"400"),
    ],
)
def test_http_that_is_not_as_it_should_be(perfect: Server, sent: bytes, status: bytes) -> None:
    host, _, port = perfect.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.startswith(b"HTTP/1.1 " + status)


def test_calls_that_come_in_pieces_or_together_are_answered_in_order(perfect: Server) -> None:
    host, _, port = perfect.url.removeprefix("http://").partition(":")
    calls = b"GET /v1/models/a HTTP/1.1\r\n\r\nGET /v1/models/b HTTP/1.1\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        for start in range(0, len(calls), 20):
            connection.sendall(calls[start : start + 20])
        received = b""
        while part := connection.recv(65536):
            received += part
    assert 0 < received.index(b'"id":"a"') < received.index(b'"id":"b"')


def test_a_port_in_use_is_told_in_two_lines(perfect: Server) -> None:
    port = int(perfect.url.rpartition(":")[2])
    with pytest.raises(UserError, match=str(port)) as caught, serving("sim/perfect", port=port):
        pass
    assert "--port" in caught.value.hint


def test_the_cache_forgets_nothing_and_shares_no_more_than_the_beginning() -> None:
    cache = PromptCache()
    first = [Piece("system", "s" * 100), Piece("user", "a" * 200 + "b" * 200)]
    other_end = [Piece("system", "s" * 100), Piece("user", "a" * 200 + "c" * 200)]
    other_beginning = [Piece("system", "t" * 100), Piece("user", "a" * 200 + "b" * 200)]
    assert cache.share(first).read == 0
    assert cache.share(other_end).read == 25 + 48  # the system text, and three whole blocks of the other
    assert cache.share(other_beginning).read == 0
    assert cache.share(first).read < 25 + 100  # something is always new
