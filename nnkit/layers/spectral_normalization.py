"""Spectral normalization: weights that stretch no input by more than a factor of one."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import positive
from nnkit.errors import ArgumentError
from nnkit.initializers import TruncatedNormal
from nnkit.layers.wrappers import Wrapper
from nnkit.weights import Weight

__all__ = ["SpectralNormalization"]

_EPSILON = 1e-7  # the least norm to divide by


class SpectralNormalization(Wrapper):
    """Divide a layer's kernel by its largest singular value, at every call in training.

    The value is found by power iteration, which goes on from call to call. The kernel itself is
    replaced, so inference uses it as it is.

    Args:
        layer: a layer with a `kernel` or `embeddings`, such as Dense, Conv2D or Embedding.
        power_iterations: steps of the iteration in a call.

    Shape: that of the layer inside
    Raises: ArgumentError for a layer that has neither weight.
    Source: Miyato et al., 2018, arXiv:1802.05957.
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = positive(self.label, "power_iterations", power_iterations)

    def check_input(self, shape: Any) -> None:
        self.layer.check_input(shape)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        kernel, self._key = self._find()
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]),
            TruncatedNormal(stddev=0.02),
            dtype=kernel.dtype,
            trainable=False,
            name="vector_u",
        )

    def _find(self) -> tuple[torch.Tensor, str]:
        """The weight to normalize in Keras's layout, and the key of its parameter."""
        # A recurrent layer, whose inputs' half alone would be normalized, is refused as by Keras.
        names = () if hasattr(self.layer, "recurrent_kernel") else ("kernel", "embeddings")
        for name in names:
            kernel = getattr(self.layer, name, None)
            for key, value in self.layer.named_parameters():
                if kernel is value or (kernel is not None and kernel._base is value):
                    return kernel, key
        raise ArgumentError(
            f"{self.label} needs a layer with one weight called kernel or embeddings, which "
            f"{self.layer.label} does not have. Wrap a layer such as Dense, Conv2D or Embedding."
        )

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self._normalize()
            # A copy, so that the next call may change the kernel before this one's gradient is
            # taken: a discriminator sees real and fake data in one step.
            copied = {self._key: self.layer.get_parameter(self._key).clone()}
            outputs = torch.func.functional_call(self.layer, copied, (inputs,))
        else:
            outputs = self.layer(inputs)
        return outputs.to(inputs.dtype) if inputs.is_floating_point() else outputs

    @torch.no_grad()
    def _normalize(self) -> None:
        kernel, _ = self._find()
        matrix = kernel.movedim(-1, 0).reshape(kernel.shape[-1], -1)
        u: torch.Tensor = self.vector_u
        for _ in range(self.power_iterations):
            v = F.normalize(u @ matrix, eps=_EPSILON)
            product = v @ matrix.T
            u = F.normalize(product, eps=_EPSILON)
        # A kernel of zeros stays as it is. Asking for its values would wait for the device.
        some = kernel.any()
        kernel.div_(torch.where(some, (product * u).sum(), 1))
        self.vector_u.copy_(torch.where(some, u, self.vector_u))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.layer.compute_mask(inputs, mask)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        outputs = self.layer.infer_output(inputs)
        return outputs.to(inputs.dtype) if inputs.is_floating_point() else outputs

    def _own(self) -> list[Weight]:
        # Keras lists the kernel here too, and before the vector.
        own = super()._own()
        if not own:
            return own
        kernel = self.layer.get_parameter(self._key)
        return [*(weight for weight in self.layer.collect() if weight.tensor is kernel), *own]
