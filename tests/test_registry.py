"""Looking things up by name, class, object, function and config."""

from __future__ import annotations

from typing import Any

import pytest

from nnkit.errors import ArgumentError
from nnkit.registry import Registry

things = Registry("thing", "keras.things")


@things.add("scale_by")
class ScaleBy:
    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def __call__(self, x: float) -> float:
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


@things.add()
def plus_one(x: float) -> float:
    return x + 1


class Own(ScaleBy):
    pass


@pytest.mark.parametrize(
    ("identifier", "result"),
    [
        ("ScaleBy", 6.0),
        ("scale_by", 6.0),
        ("SCALEBY", 6.0),
        (ScaleBy, 6.0),
        (ScaleBy(5.0), 15.0),
        ("plus_one", 4.0),
        ("PlusOne", 4.0),
        (plus_one, 4.0),
        ({"class_name": "ScaleBy", "config": {"factor": 4.0}}, 12.0),
        ({"class_name": "ScaleBy"}, 6.0),
        ({"class_name": "function", "config": "plus_one"}, 4.0),
        (abs, 3),
    ],
)
def test_get(identifier: Any, result: float) -> None:
    assert things.get(identifier)(3.0) == result


def test_none_stays_none() -> None:
    assert things.get(None) is None
    assert things.serialize(None) is None


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("scaleb", "Unknown thing 'scaleb'. Did you mean 'scale_by' or 'ScaleBy'?"),
        ("zzz", "Unknown thing 'zzz'. Known: ScaleBy, plus_one, scale_by."),
        (3, "Cannot use 3 as thing. Give a name, an object, a function or a config."),
        ({"config": {}}, "A config of a thing needs 'class_name'"),
    ],
)
def test_errors(identifier: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message.replace("?", r"\?")):
        things.get(identifier)


def test_configs() -> None:
    config = things.serialize(ScaleBy(7.0))
    assert config == {
        "module": "keras.things",
        "class_name": "ScaleBy",
        "config": {"factor": 7.0},
        "registered_name": None,
    }
    assert things.get(config)(2.0) == 14.0
    assert things.serialize(plus_one) == {
        "module": "builtins",
        "class_name": "function",
        "config": "plus_one",
        "registered_name": "function",
    }
    assert things.serialize("plus_one") == "plus_one"
    assert things.serialize(Own())["registered_name"] == "Own"
    assert things.names() == ["ScaleBy", "plus_one", "scale_by"]
