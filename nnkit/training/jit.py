"""compile(jit_compile=True): the loss and its gradients as one graph of torch.compile.

Forward pass, loss and backward pass become one compiled function; the update after it runs torch's
fused kernels anyway. What torch cannot compile runs eagerly, and a warning says so once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from nnkit.tree import flatten

__all__ = ["Jit"]


class Jit:
    """Runs a step's computation compiled, for batches of the first shape it sees.

    A last, smaller batch runs eagerly: compiling it would take longer than it ever saves.

    Attributes: backend: of torch.compile.
    """

    backend = "inductor"

    def __init__(self) -> None:
        self.failed = False
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._shapes: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"failed": False, "_compiled": {}, "_shapes": {}}  # a copy compiles anew

    def __call__(
        self, kind: str, fn: Callable[..., Any], args: tuple[Any, ...], parameters: list[Any]
    ) -> Any:
        """`fn(*args)`, compiled where it can be.

        Args:
            kind: "train" or "test", which are compiled apart.
            fn: what to compute, from a model and a batch.
            args: the model, then tensors or nestings of them.
            parameters: those that gradients are computed for; others need another graph.
        """
        shapes = [getattr(leaf, "shape", None) for leaf in flatten(args[1:])]
        if self.failed or self._shapes.setdefault(kind, shapes) != shapes:
            return fn(*args)
        key = (kind, *map(id, parameters))
        if key in self._compiled:
            return self._compiled[key](*args)
        return self._first(key, fn, args)

    def _first(self, key: Any, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        # The random numbers of eager steps; one graph, or none. Backward is part of it.
        options: Any = {"fallback_random": True} if self.backend == "inductor" else None
        compiled = torch.compile(
            fn, fullgraph=True, dynamic=False, backend=self.backend, options=options
        )

        def run(*args: Any) -> Any:
            with torch._dynamo.config.patch(trace_autograd_ops=True):
                return compiled(*args)

        try:
            result = run(*args)
        except Exception as error:
            result = fn(*args)  # a mistake of the user's raises here as it does without compiling
            self.failed = True
            warnings.warn(
                f"{args[0].label} cannot be compiled (jit_compile=True), so its steps run as "
                f"without it. torch.compile says: {_reason(error)}",
                stacklevel=2,
            )
            return result
        self._compiled[key] = run
        return result


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
