"""Odd values for each argument: it must work, or end in an error of nnkit's."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

from nnkit.errors import NnkitError

__all__ = ["bare_errors"]

ODD: list[Any] = ["a", None, -1, 0, 2.5, math.nan, math.inf, True, 2j, [1, -1], ["a"], object()]


def bare_errors(
    kind: type,
    made: Callable[[], dict[str, Any]],
    use: Callable[[Any], Any],
    allowed: tuple[str, ...] = (),
) -> list[str]:
    """What torch, NumPy or Python say, for each argument and odd value where they say it.

    Args:
        kind: the class or function.
        made: gives arguments it can be made with.
        use: calls the made object.
        allowed: arguments that are left out.
    """
    found = []
    for parameter in list(inspect.signature(kind).parameters.values()):
        name = parameter.name
        if name in allowed or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        for odd in ODD:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    use(kind(**{**made(), name: odd}))
            except (NnkitError, NotImplementedError):
                pass
            except Exception as error:  # every other error is what is looked for
                found.append(f"{kind.__name__}({name}={odd!r}): {type(error).__name__}: {error}")
    return found
