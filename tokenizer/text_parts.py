"""A text in parts that threads encode one by one: where it may be cut, who takes which, and their ids in one row."""

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tokenizer.kernels.memory import borrow
from tokenizer.kernels.scanning import safe_cut

Ids = npt.NDArray[np.int32]
Text = str | bytes

PART = 1 << 18  # bytes of a text that are encoded at a time, so that they and their ids stay in the processor's cache
NEAR = 1 << 12  # bytes before the end of a part in which it is looked for where a text can be cut


class Joined:
    """The ids of the parts of a text, put one behind the other by several threads as they come.

    Those that come too early wait in rooms that are used again: threads that ask the system for memory, and give it
    back, wait for each other.
    """

    def __init__(self, texts: Sequence[Text]) -> None:
        most = sum(len(text) // 2 if isinstance(text, bytes) or text.isascii() else len(text) for text in texts)
        self._ids = np.empty(most + 1, np.int32)  # nearly always enough, and nothing is taken that is not used
        self._count = 0
        self._parts = 0
        self._early: dict[int, tuple[Ids, int]] = {}
        self._rooms: list[Ids] = []
        self._lock = threading.Lock()

    @property
    def ids(self) -> Ids:
        """Those of all parts up to the first that is not there yet."""
        return self._ids[: self._count]

    def add(self, number: int, ids: Ids) -> None:
        """Copy the ids of a part."""
        with self._lock:
            if number != self._parts:
                room = self._rooms.pop() if self._rooms else np.empty(0, np.int32)
                if room.size < ids.size:
                    room = np.empty(max(ids.size, PART), np.int32)
                room[: ids.size] = ids
                self._early[number] = room, ids.size
                return
            self._append(ids)
            while self._parts in self._early:
                room, count = self._early.pop(self._parts)
                self._append(room[:count])
                self._rooms.append(room)

    def _append(self, ids: Ids) -> None:
        end = self._count + ids.size
        if end > self._ids.size:
            larger = np.empty(max(end, 2 * self._ids.size), np.int32)
            larger[: self._count] = self.ids
            self._ids = larger
        self._ids[self._count : end] = ids
        self._count = end
        self._parts += 1


def next_part(own: deque[int], shares: list[deque[int]]) -> int | None:
    """Take the first part of the own share, or the last one of another; None if there are no more."""
    with suppress(IndexError):
        return own.popleft()
    for share in shares:
        with suppress(IndexError):
            return share.pop()
    return None


def cut_places(text: str | memoryview) -> list[int]:
    """Places about so many bytes or characters apart where the text may be cut, from its start to its end."""
    cuts = [0]
    for end in range(PART, len(text) - PART // 2, PART):
        cut = _last_cut(text, max(cuts[-1], end - NEAR), end)
        if cut > cuts[-1]:
            cuts.append(cut)
    return [*cuts, len(text)]


def _last_cut(text: str | memoryview, start: int, end: int) -> int:
    """The last place in a part of a text where it may be cut; 0 if there is none."""
    near = text[start:end]
    try:
        data = near.encode() if isinstance(near, str) else near
    except UnicodeEncodeError:  # two lone surrogates may be one character
        return 0
    lent = borrow(data)
    cut = safe_cut(lent.address, len(data))
    if cut > 0:
        return start + (len(bytes(data[:cut]).decode()) if isinstance(near, str) else cut)
    return 0


def shares_of(documents: Sequence[Text]) -> list[Sequence[Text]]:
    """Cut a list of documents into parts of about the same size."""
    cuts, size = [0], 0
    for place, document in enumerate(documents, start=1):
        size += len(document)
        if size >= PART:
            cuts.append(place)
            size = 0
    if cuts[-1] < len(documents):
        cuts.append(len(documents))
    return [documents[start:end] for start, end in pairwise(cuts)]
