"""The HTTP/1.1 that a loopback server needs: requests with a length, answers whole or in chunks, connections kept.

Written on asyncio's protocols, as a benchmark asks thousands of small questions a second.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

MOST_HEADER_BYTES = 64 * 1024
MOST_BODY_BYTES = 256 * 1024 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: closing sends a reset


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, read to its end. Header names are in small letters, the path is without its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One client's connection: hands over its calls one after the other, the next one when the last is answered.

    `handle(call, connection)` must answer with `reply` or `stream`, now or later, or end it with `drop`; one that does
    none of these leaves the client waiting. `finished(connection)` tells that a call's answer was given, or its client
    gone. `closing` ends the connection after every answer.
    """

    def __init__(
        self,
        handle: "Callable[[Call, Connection], None]",
        *,
        opened: "Callable[[Connection], bool]" = lambda _connection: True,
        finished: "Callable[[Connection], None]" = lambda _connection: None,
        closing: bool = False,
    ) -> None:
        self._handle = handle
        self._opened = opened
        self._finished = finished
        self._closing = closing
        self._buffer = bytearray()
        self._needed = 0  # bytes of the buffer that the call that is being read takes, 0 while its length is unknown
        self._call: Call | None = None  # the call that is being answered
        self._last = closing  # whether the connection ends with this answer
        self._handling = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or reset it at once when `opened` says no."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._opened(self):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on; a call that is complete is handed over."""
        self._buffer += data
        self._hand_over()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the call that nobody waits for any more."""
        self._done()
        self._finished(self)

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        """Answer with a whole body; `cut` sends its first half only and ends the connection."""
        fields = {"content-type": "application/json", **(headers or {}), "content-length": str(len(body))}
        self._send(status, fields, body[: len(body) // 2] if cut else body, cut=cut)

    def stream(self, events: Sequence[bytes], headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        """Answer with server-sent events, a chunk each; `cut` ends the connection without the last chunk."""
        fields = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **(headers or {})}
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
        self._send(200, fields | {"transfer-encoding": "chunked"}, chunks + (b"" if cut else b"0\r\n\r\n"), cut=cut)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._transport.is_closing()

    def drop(self) -> None:
        """End the connection without an answer."""
        self._transport.abort()

    def _hand_over(self) -> None:
        """Hand over the calls that are complete, as far as they are answered at once."""
        if self._handling:
            return
        self._handling = True
        while self._call is None and not self._transport.is_closing() and (call := self._read_call()):
            self._call = call
            self._handle(call, self)
        self._handling = False

    def _read_call(self) -> Call | None:
        """The next call in the buffer if all of it is there."""
        end = self._buffer.find(b"\r\n\r\n") if len(self._buffer) >= self._needed else -1
        if end < 0:
            if not self._needed and len(self._buffer) > MOST_HEADER_BYTES:
                self._reject(431)
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = _fields(lines)
        words, length = first.split(" "), headers.get("content-length", "0")
        if len(words) != 3 or not length.isdecimal() or "transfer-encoding" in headers:
            self._reject(411 if "transfer-encoding" in headers else 400)
            return None
        start, self._needed = end + 4, end + 4 + int(length)
        if int(length) > MOST_BODY_BYTES:
            self._reject(413)
            return None
        if len(self._buffer) < self._needed:
            if headers.get("expect", "").lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = bytes(self._buffer[start : self._needed])
        del self._buffer[: self._needed]
        self._needed = 0
        self._last = self._closing or headers.get("connection", "").lower() == "close" or words[2] == "HTTP/1.0"
        return Call(words[0], words[1].partition("?")[0], headers, body)

    def _reject(self, status: int) -> None:
        self._send(status, {"content-length": "0"}, b"", cut=True)

    def _send(self, status: int, fields: Mapping[str, str], body: bytes, *, cut: bool) -> None:
        if self._transport.is_closing():
            return
        last = cut or self._last
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in fields.items())]
        if last:
            lines.append("connection: close")
        self._transport.write("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)
        if last:
            self._transport.close()
        self._done()
        self._finished(self)
        self._hand_over()

    def _done(self) -> None:
        self._call = None


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """Header lines as names and values."""
    parted = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in parted}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 529 is not in the standard
        return "Overloaded"
