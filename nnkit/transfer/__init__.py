"""Transfer learning: freeze, cut off features, add a classifier, fine-tune in stages."""

from nnkit.transfer.features import cached_features, feature_extractor
from nnkit.transfer.fine_tuning import FineTuned, fine_tune
from nnkit.transfer.freezing import blocks, freeze, unfreeze
from nnkit.transfer.heads import classifier_head, with_head
from nnkit.transfer.rates import block_rates

__all__ = [
    "FineTuned", "block_rates", "blocks", "cached_features", "classifier_head",
    "feature_extractor", "fine_tune", "freeze", "unfreeze", "with_head",
]  # fmt: skip
