"""Mixed precision: weights in float32, computation in bfloat16 or float16.

Names that older Keras code uses; `nnkit.config.set_dtype_policy` is the same as
`set_global_policy`.
"""

from __future__ import annotations

from nnkit.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from nnkit.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
