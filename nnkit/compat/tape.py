"""`tf.GradientTape` over torch's own gradients."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch

from nnkit.tree import flatten, map_structure

__all__ = ["GradientTape"]


class GradientTape:
    """Gradients of what is computed inside a `with`, as TensorFlow has them.

    Torch records by itself, so the tape only makes sure that it does. Gradients that are taken
    while another tape is open can be differentiated in turn.

    Args:
        persistent: whether `gradient` may be asked more than once.
        watch_accessed_variables: accepted; torch always watches what trains.

    Example:
        with GradientTape() as tape:
            loss = (model(x, training=True) - y).square().mean()
        gradients = tape.gradient(loss, model.trainable_weights)
    """

    _open: ClassVar[list[GradientTape]] = []

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._shared = False
        self._recording = torch.enable_grad()

    def __enter__(self) -> Self:
        self._recording.__enter__()
        self._open.append(self)
        for tape in self._open if len(self._open) > 1 else ():
            tape._shared = True  # what one of them reads, the others may need
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.remove(self)
        self._recording.__exit__(*error)

    def watch(self, tensor: Any) -> None:
        """Compute gradients for these tensors too; call it before they are used."""
        for each in flatten(tensor):
            each.requires_grad_()

    def gradient(self, target: Any, sources: Any, output_gradients: Any = None) -> Any:
        """The gradients of the sum of `target` by each source; None where there is none.

        Args:
            target: a tensor, or a nesting of them.
            sources: a tensor, or a nesting of them.
            output_gradients: what each target is multiplied by before it is summed.
        """
        targets = flatten(target)
        leaves = flatten(sources)
        given = [torch.ones_like(each) for each in targets]
        if output_gradients is not None:
            given = flatten(output_gradients)
        again = any(tape is not self for tape in self._open)
        known = [source for source in leaves if source.requires_grad]
        recorded = [(t, by) for t, by in zip(targets, given, strict=True) if t.requires_grad]
        found: dict[int, Any] = {}
        if known and recorded:
            gradients = torch.autograd.grad(
                [each for each, _ in recorded],
                known,
                [by for _, by in recorded],
                retain_graph=self._persistent or self._shared,
                create_graph=again,
                allow_unused=True,
            )
            found = dict(zip(map(id, known), gradients, strict=True))
        return map_structure(lambda source: found.get(id(source)), sources)
