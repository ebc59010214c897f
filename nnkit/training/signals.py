"""Ctrl-C and SIGTERM while a model trains."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["EXIT_CODE", "Interruptions"]

EXIT_CODE = 143
"""What a process that SIGTERM ended leaves behind: 128 + 15."""


class Interruptions:
    """Inside its `with`, the first Ctrl-C or SIGTERM lets a model stop after the batch at work.

    The second one raises KeyboardInterrupt or SystemExit at once. Handlers of the user's own, and
    threads other than the main one, which signals do not reach, are left alone.

    Args:
        model: whose stop_training and stop_evaluating are set.

    Attributes:
        received: the signal that came, None before any.
        insisted: whether a second one came.
    """

    def __init__(self, model: Any) -> None:
        self.received: signal.Signals | None = None
        self.insisted = False
        self._model = model
        self._process = os.getpid()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():
            usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, handler in usual.items():
                if signal.getsignal(number) == handler:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def terminated(self) -> bool:
        """Whether the process was told to end."""
        return self.received == signal.SIGTERM

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child that was forked with this handler
            signal.signal(number, self._before[signal.Signals(number)])
            os.kill(os.getpid(), number)
            return
        if self.received is not None:
            self.insisted = True
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(EXIT_CODE)
        self.received = signal.Signals(number)
        self._model.stop_training = self._model.stop_evaluating = True
