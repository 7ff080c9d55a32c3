"""Ctrl-C while a training shows its news."""

import signal

import pytest

from cli.training_run import Display


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, moment: str, times: int) -> None:
    """Send a real signal when the display is told of something `read`, or of the twentieth merge (`merged`)."""
    shown = getattr(Display, moment)

    def show_and_press(display: Display, news: object) -> None:
        shown(display, news)
        if moment == "read" or news.done == 20:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Display, moment, show_and_press)
