"""compile(jit_compile=True): what a step computes as one graph of torch.compile.

Forward pass, loss and, in training, backward pass become one compiled function; the update after
it runs torch's fused kernels anyway. What torch cannot compile runs eagerly, and a warning says so
once.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from nnkit.tree import flatten

__all__ = ["Jit"]


class Jit:
    """Runs the computation of a step compiled, for shapes of batches that come twice running.

    A last, smaller batch runs eagerly: compiling it would take longer than it ever saves.

    Attributes:
        backend: of torch.compile.
        most: how many graphs are made for one kind of step.
    """

    backend = "inductor"
    most = 8

    def __init__(self) -> None:
        self.failed = False
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._shapes: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"failed": False, "_compiled": {}, "_shapes": {}}  # a copy compiles anew

    def __call__(
        self,
        kind: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        parameters: Sequence[Any] = (),
    ) -> Any:
        """`fn(*args)`, compiled where it can be.

        Args:
            kind: "train", "test" or "predict", which are compiled apart.
            fn: what to compute, from a model and a batch.
            args: the model, then tensors or nestings of them.
            parameters: those that gradients are computed for; others need another graph.
        """
        shapes = tuple(getattr(leaf, "shape", None) for leaf in flatten(args[1:]))
        again = self._shapes.get(kind) == shapes
        self._shapes[kind] = shapes
        key = (kind, shapes, *map(id, parameters))
        if key not in self._compiled:
            if self.failed or not again or self._made(kind) == self.most:
                return fn(*args)
            self._compiled[key] = _compile(fn, self.backend)
        try:
            return self._compiled[key](*args)
        except Exception as error:
            result = fn(*args)  # a mistake of the user's raises here as it does without compiling
            self.failed = True
            self._compiled.clear()
            warnings.warn(
                f"{args[0].label} cannot be compiled (jit_compile=True), so its steps run as "
                f"without it. torch.compile says: {_reason(error)}",
                stacklevel=2,
            )
            return result

    def _made(self, kind: str) -> int:
        return sum(key[0] == kind for key in self._compiled)


def _compile(fn: Callable[..., Any], backend: str) -> Callable[..., Any]:
    """`fn` as one graph, or an error when it is called. Backward is part of it."""
    # The random numbers of eager steps.
    options: Any = {"fallback_random": True} if backend == "inductor" else None
    # Torch makes at most eight graphs of one piece of code, which are few for all models.
    own = types.FunctionType(fn.__code__.replace(), fn.__globals__, fn.__name__)
    compiled = torch.compile(own, fullgraph=True, dynamic=False, backend=backend, options=options)

    def run(*args: Any) -> Any:
        with torch._dynamo.config.patch(trace_autograd_ops=True):
            return compiled(*args)

    return run


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
