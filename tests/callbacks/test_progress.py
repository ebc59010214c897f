"""What a person sees: in a terminal (a pty), in a file, with a narrow screen, without Unicode."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nnkit.callbacks import (
    CallbackList,
    LambdaCallback,
    Logs,
    ModelCheckpoint,
    ProgbarLogger,
    console,
    progress,
)
from nnkit.callbacks.console import duration, line_of, number
from nnkit.errors import ArgumentError

LINE = r"Epoch {0}/2 - 4 steps - \d+\.\ds - \d+ [mu]s/step - accuracy: 0.7500 - loss: 1.0000e-04"


class Terminal:
    """A pty in place of stdout, and what it shows."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w", encoding=encoding)
        self._bytes = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                new = os.read(self._master, 65536)
            except OSError:  # the other end is closed
                return
            if not new:
                return
            self._bytes += new

    def written(self) -> str:
        """Everything that was written; closes the terminal."""
        if not self.stream.closed:
            self.stream.close()
            self._reader.join()
            os.close(self._master)
        return self._bytes.decode("utf-8")

    def screen(self) -> list[str]:
        """The lines as they stand at the end; the cursor's is the last one."""
        lines, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[A|\r|\n|[^\r\n\x1b]+", self.written()):
            if part == "\r":
                column = 0
            elif part == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif part == "\x1b[A":
                row -= 1
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + part + line[column + len(part) :]
                column += len(part)
        return [line.rstrip() for line in lines]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(columns: int = 120, encoding: str = "utf-8", seconds: float = 0.0) -> Terminal:
        opened.append(Terminal(encoding))
        monkeypatch.setattr(sys, "stdout", opened[-1].stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_DRAWINGS", seconds)
        return opened[-1]

    yield start
    for each in opened:
        each.written()


def fit(
    *callbacks: Any,
    epochs: int = 2,
    steps: int | None = 4,
    validate: bool = False,
    fail_at: int | None = None,
    fetched: list[int] | None = None,
    name: str = "accuracy",
    **params: Any,
) -> None:
    def fetch() -> dict[str, float]:
        if fetched is not None:
            fetched.append(1)
        return {name: 0.75, "loss": 1e-4}

    params = {"verbose": 1, "epochs": epochs, "steps": steps, **params}
    calls = CallbackList(callbacks, add_progbar=True, **params)
    try:
        calls.on_train_begin()
        for epoch in range(epochs):
            calls.on_epoch_begin(epoch)
            for batch in range(4):
                calls.on_train_batch_end(batch, Logs(fetch))
                if batch == fail_at:
                    raise KeyboardInterrupt
            logs = {name: 0.75, "loss": 1e-4}
            if validate:
                calls.on_test_begin()
                for batch in range(3):
                    calls.on_test_batch_end(batch, Logs(fetch))
                calls.on_test_end(logs)
                logs["val_loss"] = 12.3456
            calls.on_epoch_end(epoch, logs)
        calls.on_train_end(logs)
    finally:
        calls.close()


def assert_lines(found: list[str], expected: list[str]) -> None:
    assert len(found) == len(expected), found
    for line, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


@pytest.mark.parametrize("verbose", [1, 2, "auto", True])
def test_a_file_gets_a_plain_line_an_epoch(
    capsys: pytest.CaptureFixture[str], verbose: Any
) -> None:
    fetched: list[int] = []
    fit(verbose=verbose, validate=True, fetched=fetched)
    out = capsys.readouterr()
    line = LINE + " - val_loss: 12.3456"
    assert_lines(out.out.split("\n"), [line.format(1), line.format(2), ""])
    assert "\r" not in out.out
    assert "\x1b" not in out.out
    assert not out.err
    assert not fetched


def test_silence(terminal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fit(verbose=0, validate=True)
    assert capsys.readouterr() == ("", "")
    shown = terminal()
    fit(verbose=0, validate=True)
    assert shown.written() == ""


def test_verbose_two_draws_no_bar_in_a_terminal(terminal: Any) -> None:
    shown = terminal()
    fit(verbose=2)
    assert_lines(shown.written().split("\r\n"), [LINE.format(1), LINE.format(2), ""])


@pytest.mark.parametrize("steps", [4, None])
def test_a_terminal_shows_a_bar_and_keeps_a_line(terminal: Any, steps: int | None) -> None:
    shown = terminal()
    fit(steps=steps, validate=True)
    line = LINE + " - val_loss: 12.3456"
    assert_lines(shown.screen(), [line.format(1), line.format(2), ""])
    drawn = shown.written()
    metrics = r"accuracy: 0\.7500 - loss: 1\.0000e-04\]"
    counts = r" 50%\|█+.? +\| 2/4 \[00:00<00:00, " if steps else r"2step \[00:00, "
    assert re.search(rf"\rEpoch 1/2: {counts}.*step/s, {metrics}", drawn)
    # The first epoch tells how many steps the second one has.
    assert re.search(r"\rEpoch 2/2:  75%\|█+.? +\| 3/4 ", drawn)
    assert re.search(rf"\rEpoch 2/2, validating step 3: .*{metrics}", drawn)


def test_it_is_drawn_and_read_ten_times_a_second(
    terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def later() -> float:
        now[0] += 0.03
        return now[0]

    shown = terminal(seconds=progress.SECONDS_BETWEEN_DRAWINGS)
    monkeypatch.setattr(progress, "perf_counter", later)
    bar, fetched = ProgbarLogger(), []
    bar.set_params({"verbose": 1, "epochs": 1, "steps": 100})
    bar.on_train_begin()
    bar.on_epoch_begin(0)

    def fetch() -> dict[str, float]:
        fetched.append(bar.seen)
        return {"loss": 1.0}

    for batch in range(100):
        bar.on_train_batch_end(batch, Logs(fetch))
    bar.close()
    # Each batch takes 0.03 s, so every fourth is the first after 0.1 s.
    assert fetched == list(range(4, 101, 4))
    assert shown.written().count("\rEpoch 1/1: ") == len(fetched) + 2


@pytest.mark.parametrize(
    ("columns", "frame"),
    [
        (60, r"Epoch 1/2: .?\| 2/4 \[00:00, accuracy: 0.7500 - loss: 1.000"),
        (80, r"Epoch 1/2: █+.? +\| 2/4 \[00:00, accuracy: 0.7500 - loss: 1.0000e-04\]"),
        (120, r"Epoch 1/2:  50%\|█+.? +\| 2/4 .*, accuracy: 0.7500 - loss: 1.0000e-04\]"),
        (12, r"Epoch 1/2: "),
    ],
)
@pytest.mark.parametrize("steps", [4, None])
def test_a_bar_never_wraps(terminal: Any, columns: int, frame: str, steps: int | None) -> None:
    shown = terminal(columns=columns)
    fit(steps=steps)
    frames = [part for part in shown.written().split("\r") if part.startswith("Epoch 1/2:")]
    assert max(len(part) for part in frames) < columns
    if steps:
        assert any(re.match(frame, part) for part in frames), frames
    assert_lines(shown.screen(), [LINE.format(1), LINE.format(2), ""])


def test_stopping_early_shows_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    fit(steps=9, epochs=1)
    assert capsys.readouterr().out.startswith("Epoch 1/1 - 4/9 steps - ")


def test_what_others_print_at_an_epochs_end_has_its_own_lines(terminal: Any, tmp_path: Any) -> None:
    class Model:
        def save(self, path: str) -> None:
            pass

    talk = LambdaCallback(on_epoch_end=lambda epoch, logs: print("mine", epoch))
    save = ModelCheckpoint(tmp_path / "m.keras", verbose=1)
    shown = terminal(columns=120)
    save.set_model(Model())
    fit(talk, save, epochs=1)
    assert_lines(
        shown.screen(),
        ["mine 0", r"Epoch 1: saved to .*m\.keras", LINE.format(1).replace("/2", "/1"), ""],
    )


def test_a_message_while_the_bar_lives_goes_above_it(terminal: Any) -> None:
    talk = LambdaCallback(
        on_train_batch_end=lambda batch, logs: console.say("hello") if batch == 1 else None
    )
    shown = terminal()
    fit(talk, epochs=1)
    assert_lines(shown.screen(), ["hello", LINE.format(1).replace("/2", "/1"), ""])


def test_an_interrupted_bar_stays_where_it_stood(terminal: Any) -> None:
    shown = terminal()
    with pytest.raises(KeyboardInterrupt):
        fit(fail_at=2)
    assert_lines(shown.screen(), [r"Epoch 1/2:  75%\|█+.? +\| 3/4 .*\]", ""])


def test_another_run_inside_an_epochs_end_gets_its_own_bar(terminal: Any) -> None:
    def evaluate_again(epoch: int, logs: Any) -> None:
        run_test("test", ProgbarLogger())

    shown = terminal()
    fit(LambdaCallback(on_epoch_end=evaluate_again), epochs=1)
    assert_lines(shown.screen(), [r"Evaluate - 3 steps.*", r"Epoch 1/1 - 4 steps.*", ""])


def run_test(kind: str, *callbacks: Any) -> None:
    calls = CallbackList(callbacks, add_progbar=True, verbose=1, steps=3)
    getattr(calls, f"on_{kind}_begin")()
    for batch in range(3):
        getattr(calls, f"on_{kind}_batch_end")(batch, Logs(lambda: {"loss": 0.5, "outputs": 1}))
    getattr(calls, f"on_{kind}_end")({"loss": 0.5})
    calls.close()


@pytest.mark.parametrize(
    ("kind", "line", "frame"),
    [
        (
            "test",
            r"Evaluate - 3 steps - \d\.\ds - \d+ [mu]s/step - loss: 0.5000",
            r"Evaluate: .*loss: ",
        ),
        ("predict", r"Predict - 3 steps - \d\.\ds - \d+ [mu]s/step", r"Predict: .*step/s\]"),
    ],
)
def test_evaluate_and_predict(
    terminal: Any, capsys: pytest.CaptureFixture[str], kind: str, line: str, frame: str
) -> None:
    run_test(kind)
    assert re.fullmatch(line + "\n", capsys.readouterr().out)
    shown = terminal()
    run_test(kind)
    assert_lines(shown.screen(), [line, ""])
    assert re.search(frame, shown.written())


def test_stdout_without_unicode(terminal: Any) -> None:
    shown = terminal(encoding="ascii", columns=140)
    fit(epochs=1, name="précision")
    assert shown.written().isascii()
    assert re.search(r"\rEpoch 1/1:  50%\|#+\d? +\| 2/4 .*pr\?cision: 0.7500", shown.written())
    assert "pr?cision" in shown.screen()[0]


def test_no_stdout_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    fit(validate=True)


def test_no_watching_thread_is_started(terminal: Any) -> None:
    shown = terminal()
    before = threading.active_count()
    fit(epochs=1)
    assert threading.active_count() == before
    shown.written()


@pytest.mark.parametrize("verbose", [3, -1, "yes", None])
def test_unknown_verbose(verbose: Any) -> None:
    with pytest.raises(ArgumentError, match=r"verbose is 0 \(silent\), .* not "):
        ProgbarLogger().set_params({"verbose": verbose})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.23456, "0.2346"),
        (12, "12.0000"),
        (0, "0.0000"),
        (0.001, "1.0000e-03"),
        (0.0011, "0.0011"),
        (-0.0002, "-2.0000e-04"),
        (123456.789, "123456.7890"),
        (3e12, "3.0000e+12"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ([0.5, 0.00025], "[0.5000, 2.5000e-04]"),
        ("text", "text"),
        (None, "nan"),
    ],
)
def test_numbers(value: Any, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (59.94, "59.9s"), (59.96, "1m00s"), (125.4, "2m05s"), (3725, "1h02m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.25, "2.2 s/step"), (0.0123, "12 ms/step"), (0.000456, "456 us/step")]
)
def test_pace(seconds: float, text: str) -> None:
    assert progress._pace(seconds) == text


def test_line_of() -> None:
    assert line_of({"accuracy": 0.93124, "loss": 0.23}) == "accuracy: 0.9312 - loss: 0.2300"
    assert line_of({}) == ""
