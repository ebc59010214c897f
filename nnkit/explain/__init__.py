"""What a network looks at, and what it gets wrong."""

from nnkit.explain.cam import grad_cam, saliency
from nnkit.explain.pictures import overlay, plot_confusion_matrix, plot_wrong_predictions

__all__ = [
    "grad_cam", "overlay", "plot_confusion_matrix", "plot_wrong_predictions", "saliency",
]  # fmt: skip
