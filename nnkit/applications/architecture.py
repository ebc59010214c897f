"""The frame around every network: its arguments, its input, its classifier, its weights.

A family of networks writes a *body*, the blocks from pictures to features, and keeps what differs
between its members in a table. All else is done here, once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from nnkit import activations, layers
from nnkit.applications.input_range import watch_range
from nnkit.applications.pretrained import Source, Torchvision, find_source
from nnkit.arguments import one_of, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.initializers import left_empty
from nnkit.models import Model
from nnkit.symbolic import SymbolicTensor

__all__ = ["Recipe", "application", "assemble", "correct_pad", "make_divisible", "network"]

Files = tuple[tuple[str, str | None], tuple[str, str | None]]


def _classifier(x: Any, classes: int, activation: Any, origin: str, **options: Any) -> Any:
    """The usual top: the mean over all pixels, then one Dense layer."""
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return layers.Dense(classes, activation=activation, name="predictions", **options)(x)


@dataclass(frozen=True)
class Recipe:
    """What is fixed about one network.

    Attributes:
        body: (pictures, origin of the weights) -> features. The origin is "", "imagenet",
            "torchvision" or "file": the networks of other frameworks differ in details.
        files: (URL, hash) of Keras's ImageNet weights with the classifier, and without.
        preprocessing: what these were trained on; see `imagenet_utils.preprocess_input`.
        size: pixels of a side with the classifier, when no shape is given.
        smallest: of a side.
        any_size: whether the classifier takes pictures of any size.
        top: (features, classes, activation, origin) -> predictions.
        pools: the names of the layers for pooling="avg" and "max"; counted names when None.
        after: what follows the pooling when there is no classifier.
        torchvision: where torchvision's weights for it are and how they are named, if they fit.
        instead: what stands for arguments that are None, by their names.
    """

    body: Callable[[Any, str], Any]
    files: Files | None
    preprocessing: str
    size: int = 224
    smallest: int = 32
    any_size: bool = False
    top: Callable[[Any, int, Any, str], Any] = _classifier
    pools: tuple[str | None, str | None] = ("avg_pool", "max_pool")
    after: Callable[[Any], Any] | None = None
    torchvision: Torchvision | None = None
    instead: Mapping[str, Any] = field(default_factory=dict)


def assemble(
    recipe: Recipe,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Model:
    """The network of a recipe.

    Args:
        recipe: its body and what else is fixed.
        include_top: whether it ends in the classifier.
        weights: None (random), "imagenet" (Keras's, fetched once), "torchvision" or a member of
            torchvision's weights enumeration, or the path of a file: .h5 or .weights.h5 of Keras,
            .pt, .pth or .safetensors of nnkit or torchvision.
        input_tensor: a symbolic tensor to use as the pictures.
        input_shape: (height, width, channels); free sides without the classifier when None.
        pooling: without the classifier: None, "avg" or "max" over all pixels.
        classes: outputs of the classifier.
        classifier_activation: of the classifier; None for logits.
        name: of the model.

    Returns: a `Model` with Keras's layer names. Its `preprocessing` says what pretrained weights
        want; a first batch whose range does not fit is warned of.
    Raises: ArgumentError or ShapeError for what does not go together; DownloadError if weights
        cannot be fetched, naming the file to put in place; FileError if they do not fit.
    """
    source = find_source(weights, name, recipe.files, recipe.torchvision, include_top)
    _check(name, source, include_top, pooling, classes, classifier_activation)
    images = _images(name, recipe, source, include_top, input_tensor, input_shape)
    path = source.fetch()  # before the layers are made: without it there is no use for them
    # What a file fills need not be drawn at random first.
    with nullcontext() if path is None else left_empty(sys.maxsize):
        x = recipe.body(images, source.origin)
        if include_top:
            x = recipe.top(x, classes, classifier_activation, source.origin)
        else:
            x = _pooled(x, recipe, pooling)
    model = Model(images if input_tensor is None else _sources(input_tensor), x, name=name)
    model.preprocessing = None
    if path is not None:
        source.load(model, path)
        model.preprocessing = source.preprocessing or recipe.preprocessing
        watch_range(model)
    return model


def application(
    name: str, recipe: Recipe, doc: str, default_name: str | None = None
) -> Callable[..., Model]:
    """The function `VGG16(include_top=True, ...)` for a recipe, with Keras's arguments.

    Args:
        name: the function's name.
        recipe: the network.
        doc: the first line of its documentation, and its source.
        default_name: of the model; the function's name in lower case when None.
    """

    def arguments(
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = default_name or name.lower(),
    ) -> Recipe:
        return recipe

    return network(name, doc)(arguments)


def network(
    name: str, doc: str | None = None
) -> Callable[[Callable[..., Recipe]], Callable[..., Model]]:
    """A decorator: of a function from Keras's arguments to a recipe, one to the model.

    The decorated function lists all arguments, in Keras's order and with its defaults. It looks at
    those that change the recipe; the others, which all networks share, are for `assemble`.

    Args:
        name: of the public function.
        doc: the beginning of its documentation; that of the decorated function when None.
    """
    text = inspect.getdoc(assemble) or ""

    def decorate(recipe_of: Callable[..., Recipe]) -> Callable[..., Model]:
        signature = inspect.signature(recipe_of).replace(return_annotation=Model)
        shared = set(inspect.signature(assemble).parameters) & set(signature.parameters)

        def make(*args: Any, **kwargs: Any) -> Model:
            try:
                given = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{name}() {error}") from None
            given.apply_defaults()
            recipe = recipe_of(**given.arguments)
            own = {word: given.arguments[word] for word in shared}
            missing = {word for word, value in own.items() if value is None}
            own |= {word: recipe.instead[word] for word in missing & set(recipe.instead)}
            return assemble(recipe, **own)

        make.__name__ = make.__qualname__ = name
        make.__module__ = "nnkit.applications"
        about = text.partition("its body and what else is fixed.")[2].strip()
        make.__doc__ = f"{doc or inspect.getdoc(recipe_of)}\n\n{about}"
        make.__signature__ = signature  # type: ignore[attr-defined]  # what inspect looks for
        return make

    return decorate


def correct_pad(x: Any, kernel_size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding before a strided "valid" convolution, as ImageNet's weights were trained."""
    half = kernel_size // 2
    odd = [1 if size is None else 1 - size % 2 for size in x.shape[1:3]]
    return (half - odd[0], half), (half - odd[1], half)


def make_divisible(value: float, divisor: int = 8) -> int:
    """A number of channels near `value`, at least 0.9 of it, that the divisor divides."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


# -- arguments and input ---------------------------------------------------------------------------


def _check(
    name: str, source: Source, include_top: bool, pooling: Any, classes: Any, activation: Any
) -> None:
    if pooling is not None:
        one_of(name, "pooling", pooling, ("avg", "max"))
    positive(name, "classes", classes)
    if not include_top or source.origin == "":
        return
    if source.is_imagenet and classes != 1000:
        raise ArgumentError(
            f"{name}: ImageNet's weights with include_top=True have classes=1000, got "
            f"classes={classes}. For classes of your own give include_top=False and add a "
            f"classifier, or weights=None."
        )
    if activations.get(activation) not in (activations.get("softmax"), activations.get(None)):
        raise ArgumentError(
            f"{name}: pretrained weights go with classifier_activation None or 'softmax', "
            f"got {activation!r}."
        )


def _images(
    name: str, recipe: Recipe, source: Source, include_top: bool, tensor: Any, shape: Any
) -> Any:
    """The symbolic pictures: the user's, or an Input of the right shape."""
    shape = _image_shape(name, recipe, source, include_top, shape)
    if tensor is None:
        return layers.Input(shape=shape)
    if not isinstance(tensor, SymbolicTensor):
        raise ArgumentError(
            f"{name}: input_tensor must come from Input() or a layer called on one, "
            f"got {type(tensor).__name__}."
        )
    return tensor


def _image_shape(
    name: str, recipe: Recipe, source: Source, include_top: bool, shape: Any
) -> tuple[int | None, ...]:
    """The shape of a picture, checked; the usual one when it is None."""
    usual = (recipe.size, recipe.size, 3)
    if shape is None:
        return usual if include_top and not recipe.any_size else (None, None, 3)
    shape = tuple(shape)
    if len(shape) != 3 or (len(shape) == 3 and shape[2] is None):
        raise ShapeError(
            f"{name}: input_shape must be (height, width, channels), got {shape}. "
            f"The batch axis is left out."
        )
    for side in shape[:2]:
        if side is not None and side < recipe.smallest:
            raise ShapeError(
                f"{name}: pictures must have at least {recipe.smallest} x {recipe.smallest} "
                f"pixels, got input_shape={shape}."
            )
    if source.is_imagenet and shape[2] != 3:
        raise ShapeError(
            f"{name}: ImageNet's weights are for 3 channels, got input_shape={shape}. "
            f"Repeat a gray channel three times, or give weights=None."
        )
    if not include_top or recipe.any_size:
        return shape
    if None in shape:
        raise ShapeError(
            f"{name}: with include_top=True the height and width must be known, "
            f"got input_shape={shape}."
        )
    if source.origin == "imagenet" and shape != usual:
        raise ShapeError(
            f"{name}: ImageNet's weights with include_top=True are for input_shape={usual}, "
            f"got {shape}. Give include_top=False for another size."
        )
    return shape


def _pooled(x: Any, recipe: Recipe, pooling: str | None) -> Any:
    """The end of a network without its classifier."""
    if pooling == "avg":
        x = layers.GlobalAveragePooling2D(name=recipe.pools[0])(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name=recipe.pools[1])(x)
    return x if recipe.after is None else recipe.after(x)


def _sources(tensor: SymbolicTensor) -> Any:
    """The inputs that a symbolic tensor was made from."""
    found: dict[int, SymbolicTensor] = {}
    todo = [tensor]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if each.node.inputs:
            todo.extend(reversed(each.node.inputs))
        else:
            found[id(each)] = each
    inputs = list(found.values())
    return inputs[0] if len(inputs) == 1 else inputs
