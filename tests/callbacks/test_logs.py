"""Logs: a dict that is read at first sight."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nnkit.callbacks import Logs

VALUES = {"loss": 0.5, "accuracy": 0.75}


def changed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def result(logs: Any) -> Any:
        change(logs)
        return logs

    return result


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (lambda logs: logs["loss"], 0.5),
        (lambda logs: logs.get("loss"), 0.5),
        (lambda logs: logs.get("none", 3), 3),
        (lambda logs: "accuracy" in logs, True),
        (lambda logs: "" in logs, False),
        (bool, True),
        (len, 2),
        (list, ["loss", "accuracy"]),
        (lambda logs: list(reversed(logs)), ["accuracy", "loss"]),
        (lambda logs: list(logs.keys()), ["loss", "accuracy"]),
        (lambda logs: list(logs.values()), [0.5, 0.75]),
        (lambda logs: list(logs.items()), [("loss", 0.5), ("accuracy", 0.75)]),
        (dict, VALUES),
        (lambda logs: {**logs}, VALUES),
        (lambda logs: dict(**logs), VALUES),
        (lambda logs: logs.copy(), VALUES),
        (copy.copy, VALUES),
        (copy.deepcopy, VALUES),
        (lambda logs: pickle.loads(pickle.dumps(logs)), VALUES),
        (lambda logs: json.loads(json.dumps(logs)), VALUES),
        (lambda logs: logs == VALUES, True),
        (partial(operator.eq, VALUES), True),
        (lambda logs: logs == Logs(lambda: dict(VALUES)), True),
        (lambda logs: logs != VALUES, False),
        (lambda logs: logs | {"a": 1}, {**VALUES, "a": 1}),
        (lambda logs: {"a": 1} | logs, {"a": 1, **VALUES}),
        (repr, repr(VALUES)),
        (str, repr(VALUES)),
        (lambda logs: "{loss}".format(**logs), "0.5"),
        (lambda logs: "{loss}".format_map(logs), "0.5"),
        (changed(lambda logs: logs.update(a=1)), {**VALUES, "a": 1}),
        (changed(lambda logs: logs.__setitem__("a", 1)), {**VALUES, "a": 1}),
        (changed(lambda logs: logs.__ior__({"a": 1})), {**VALUES, "a": 1}),
        (changed(lambda logs: logs.setdefault("loss", 9)), VALUES),
        (changed(lambda logs: logs.pop("loss")), {"accuracy": 0.75}),
        (changed(lambda logs: logs.popitem()), {"loss": 0.5}),
        (changed(lambda logs: logs.__delitem__("loss")), {"accuracy": 0.75}),
        (changed(lambda logs: logs.clear()), {}),
    ],
)
def test_the_first_look_fetches_once(look: Callable[[Any], Any], expected: Any) -> None:
    fetched: list[int] = []

    def fetch() -> dict[str, float]:
        fetched.append(1)
        return dict(VALUES)

    logs = Logs(fetch)
    assert not fetched
    assert look(logs) == expected
    assert len(logs) >= 0
    assert len(fetched) == 1


def test_an_error_while_fetching_comes_out_and_the_next_look_tries_again() -> None:
    answers: list[Any] = [ZeroDivisionError("broken"), VALUES]

    def fetch() -> dict[str, float]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    logs = Logs(fetch)
    with pytest.raises(ZeroDivisionError, match="broken"):
        len(logs)
    assert logs == VALUES


def test_it_is_a_dict_that_compares_by_value() -> None:
    assert isinstance(Logs(dict), dict)
    assert Logs(dict) == {}
    assert not Logs(dict)
