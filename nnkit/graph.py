"""From inputs and outputs to something that runs.

A `Graph` is found once, by walking back from the outputs. It is compiled into a flat *plan*: each
step names a module (or holds a function), the slots its arguments come from and the slots its
results go to. Running the plan is one loop over a local list, so it is re-entrant and
`torch.compile` and `torch.export` see straight through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from nnkit.errors import GraphError
from nnkit.modes import asked_mode, note_recorded
from nnkit.symbolic import Function, Node, SymbolicTensor, record
from nnkit.tree import flatten, map_structure
from nnkit.wrapper import as_layer

__all__ = ["Graph", "Slot", "Step"]


class Slot:
    """Stands for a value inside stored arguments."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Step(NamedTuple):
    """One call of the plan.

    Attributes:
        module: the module's key among the model's children, or None for a plain function.
        function: the function, or None.
        sources: the slots of the positional arguments, when those are all there is.
        arguments: (args, kwargs) with `Slot` leaves, when there is more.
        targets: the slots of the results: one int, or a nesting of them.
        free: slots that nobody reads later, so that their memory can go.
        door: how to enter a layer: None behind its door; CASTING where only something must be
            cast; FRONT by its checks, which alone know `training=`.
    """

    module: str | None
    function: Function | None
    sources: tuple[int, ...] | None
    arguments: Any
    targets: Any
    free: tuple[int, ...]
    door: str | None


# See `Step.door`.
CASTING, FRONT = "casting", "front"


class Graph:
    """The calls that lead from the inputs to the outputs.

    Args:
        inputs: a symbolic tensor, or a nesting of them.
        outputs: the same.

    Attributes:
        nodes: all calls, in an order in which they can run.
        operations: layers and functions in Keras's order: by depth, then by discovery.
        constants: tensors and parameters met as arguments, by the name the model keeps them under.

    Raises: GraphError when an output does not depend on the inputs, or uses one that is missing.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.flat_inputs = _symbolic_only("inputs", inputs)
        self.flat_outputs = _symbolic_only("outputs", outputs)
        self.masks = [tensor._keras_mask for tensor in self.flat_outputs]
        self.nodes, self.operations = _walk(self.flat_inputs, self.flat_outputs, self.masks)
        self.constants: dict[str, torch.Tensor] = {}
        self.constant_slots: dict[str, int] = {}
        # Keras's way: a tensor is given where [tensor] is declared.
        listed = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        self._lone = type(outputs[0] if listed else outputs) is SymbolicTensor
        self._compile()

    def with_replaced(self, old: Any, new: Any) -> Graph:
        """The graph in which `new` is called wherever `old` was, with all shapes found again."""
        now: dict[int, SymbolicTensor] = {}

        def current(value: Any) -> Any:
            return now.get(id(value), value)

        for node in self.nodes:
            if node.op is not old and not any(id(tensor) in now for tensor in node.inputs):
                continue
            args, kwargs = map_structure(current, (node.args, node.kwargs))
            if isinstance(node.op, Function):
                outputs = record(node.op, args, kwargs)
            else:
                outputs = (new if node.op is old else node.op)(*args, **kwargs)
                _forget(node)
            for before, after in zip(flatten(node.outputs), flatten(outputs), strict=True):
                now[id(before)] = after
        return Graph(self.inputs, map_structure(current, self.outputs))

    def __getstate__(self) -> dict[str, Any]:
        """Plain lists instead of linked nodes, which are too deep for pickle's recursion."""
        tensors: dict[int, int] = {}
        probes: list[Any] = []

        def flat(value: Any) -> Any:
            if type(value) is not SymbolicTensor:
                return value
            if id(value) not in tensors:
                tensors[id(value)] = len(probes)
                probes.append((value.index, value.probes))
            return Slot(tensors[id(value)])

        sources = [t.node for t in self.flat_inputs if not t.node.inputs]
        nodes = [
            (node.op, node.hidden, map_structure(flat, (node.args, node.kwargs, node.outputs)))
            for node in [*sources, *self.nodes]
        ]
        ends = map_structure(flat, (self.inputs, self.outputs))
        masks = {
            tensors[id(t)]: flat(t._keras_mask)
            for t in self.flat_outputs
            if t._keras_mask is not None
        }
        return {"nodes": nodes, "ends": ends, "masks": masks, "probes": probes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        outside = Node(Function(_outside), (), {})
        tensors = [SymbolicTensor(outside, index, p) for index, p in state["probes"]]

        def linked(value: Any) -> Any:
            return tensors[value.number] if isinstance(value, Slot) else value

        for op, hidden, parts in state["nodes"]:
            args, kwargs, outputs = map_structure(linked, parts)
            node = Node(op, args, kwargs)
            node.outputs, node.hidden = outputs, hidden
            for tensor in flatten(outputs):
                if type(tensor) is SymbolicTensor:
                    tensor.node = node
            if not isinstance(op, Function):
                op._inbound_nodes.append(node)
        for number, mask in state["masks"].items():
            tensors[number]._keras_mask = linked(mask)
        self.__init__(*map_structure(linked, state["ends"]))  # type: ignore[misc]

    def _compile(self) -> None:
        slots: dict[int, int] = {}

        def argument(value: Any) -> Any:
            if not isinstance(value, (SymbolicTensor, torch.Tensor)):
                return value
            new = id(value) not in slots
            number = slots.setdefault(id(value), len(slots))
            if new and isinstance(value, torch.Tensor):
                name = f"constant_{len(self.constants)}"
                self.constants[name], self.constant_slots[name] = value, number
            return Slot(number)

        def numbers(tree: Any) -> Any:
            return map_structure(
                lambda v: argument(v).number if type(v) is SymbolicTensor else None, tree
            )

        self.input_slots: list[int] = numbers(self.flat_inputs)
        calls = []
        for node in self.nodes:
            args, kwargs = map_structure(argument, (node.args, node.kwargs))
            layer = not isinstance(node.op, Function)
            if layer and "training" in kwargs:
                note_recorded()
            door = None
            if layer and "training" in kwargs:
                door = FRONT
            elif layer and node.op.casts((node.args, node.kwargs)):
                door = CASTING
            calls.append((node.op, args, kwargs, numbers(node.outputs), door))
        self.output_slots: list[int] = numbers(self.flat_outputs)
        self.mask_slots: list[int | None] = numbers(self.masks)
        self.has_masks = any(mask is not None for mask in self.masks)
        self.size = len(slots)
        needed = {*self.output_slots, *self.mask_slots}
        steps: list[Step] = []
        for op, args, kwargs, targets, door in reversed(calls):
            used = {leaf.number for leaf in flatten((args, kwargs)) if isinstance(leaf, Slot)}
            made = {target for target in flatten(targets) if target is not None}
            plain = not kwargs and all(isinstance(arg, Slot) for arg in args)
            steps.append(
                Step(
                    module=None if isinstance(op, Function) else op.key,
                    function=op if isinstance(op, Function) else None,
                    sources=tuple(arg.number for arg in args) if plain else None,
                    arguments=None if plain else (args, kwargs),
                    targets=targets,
                    free=tuple(sorted((used | made) - needed)),
                    door=door,
                )
            )
            needed |= used
        self.steps = steps[::-1]
        self._plan = [*map(tuple, self.steps)]  # which Python takes apart faster

    def at_doors(self) -> list[tuple[Any, ...]]:
        """The steps with every module entered by its front door, where torch.fx is noticed."""
        return [tuple(step._replace(door=step.module and FRONT)) for step in self.steps]

    def run(
        self,
        modules: Mapping[str, nn.Module | None],
        constants: Mapping[str, Any],
        inputs: list[Any],
        steps: list[tuple[Any, ...]] | None = None,
    ) -> tuple[Any, list[Any]]:
        """Compute the outputs and their masks.

        Args:
            modules: the model's children by key.
            constants: the tensors of `self.constants` as they are now.
            inputs: one tensor an input, in order.
            steps: `at_doors()`, or the usual ones when None.

        Returns: the outputs in their nesting, and one mask (or None) an output.
        """
        values: list[Any] = [None] * self.size
        for slot, value in zip(self.input_slots, inputs, strict=True):
            values[slot] = value
        for name, slot in self.constant_slots.items():
            values[slot] = constants[name]
        for key, function, sources, arguments, targets, free, door in steps or self._plan:
            call: Any
            if function is not None:
                call = function.fn
            else:
                module: Any = modules[key]
                # The graph has checked the shapes, so a layer is entered behind its own checks,
                # where torch enters a module.
                call = module._compiled_call_impl or module._call_impl
                if door is not None:
                    layer = as_layer(module)
                    call = layer if door is FRONT else layer.cast_and_call
            # One and two sources are most calls; a comprehension would be a frame of its own.
            if sources is not None:
                if len(sources) == 1:
                    result = call(values[sources[0]])
                elif len(sources) == 2:
                    result = call(values[sources[0]], values[sources[1]])
                else:
                    result = call(*[values[i] for i in sources])
            else:
                args, kwargs = _fill(arguments, values)
                if door is FRONT and "training" in kwargs:
                    kwargs["training"] = asked_mode(kwargs["training"])
                result = call(*args, **kwargs)
            if type(targets) is int:
                values[targets] = result
            else:
                _scatter(targets, result, values)
            for slot in free:
                values[slot] = None
        if self._lone:
            outputs = values[self.output_slots[0]]
        else:
            results = iter([values[slot] for slot in self.output_slots])
            outputs = map_structure(lambda _: next(results), self.outputs)
        return outputs, [None if slot is None else values[slot] for slot in self.mask_slots]


def _forget(node: Node) -> None:
    """Take a call that was made again out of its layer's list; the new one comes into its place."""
    calls = node.op._inbound_nodes
    if node in calls and calls[-1] is not node:
        calls[calls.index(node)] = calls.pop()


def _outside() -> None:
    """The maker of a tensor that lies before a model's inputs, in a restored graph."""


def _fill(arguments: Any, values: list[Any]) -> Any:
    """The stored arguments with each `Slot` replaced by its value."""
    kind = type(arguments)
    if kind is Slot:
        return values[arguments.number]
    if kind is tuple:
        return tuple([_fill(a, values) for a in arguments])
    if kind is list:
        return [_fill(a, values) for a in arguments]
    if kind is dict:
        return {k: _fill(a, values) for k, a in arguments.items()}
    if kind is slice:
        return slice(*[_fill(v, values) for v in (arguments.start, arguments.stop, arguments.step)])
    return arguments


def _scatter(targets: Any, result: Any, values: list[Any]) -> None:
    if type(targets) is int:
        values[targets] = result
    elif isinstance(targets, dict):
        for key, target in targets.items():
            _scatter(target, result[key], values)
    elif targets is not None:
        for target, item in zip(targets, result, strict=True):
            _scatter(target, item, values)


def _symbolic_only(kind: str, tree: Any) -> list[SymbolicTensor]:
    leaves = flatten(tree)
    if not leaves:
        raise GraphError(f"A model needs at least one tensor among its {kind}.")
    for leaf in leaves:
        if type(leaf) is not SymbolicTensor:
            raise GraphError(
                f"The {kind} of a model must be symbolic tensors, made by Input() and by calling "
                f"layers on it; got {type(leaf).__name__}."
            )
    return leaves


def _walk(
    inputs: list[SymbolicTensor],
    outputs: list[SymbolicTensor],
    masks: list[SymbolicTensor | None],
) -> tuple[list[Node], list[Any]]:
    """The calls in running order, and the operations in Keras's order."""
    given = {id(tensor) for tensor in inputs}
    order: list[Node] = []
    found: dict[int, int] = {}  # operation -> when it was discovered
    done: set[int] = set()
    targets = [*outputs, *[m for m in masks if m is not None]]
    for output in targets:
        # A stack instead of recursion: graphs are deeper than Python's recursion limit.
        stack: list[tuple[SymbolicTensor, bool]] = [(output, False)]
        while stack:
            tensor, left = stack.pop()
            node = tensor.node
            if left:
                if id(node) not in done:
                    done.add(id(node))
                    order.append(node)
                continue
            if id(node) in done:
                continue
            found.setdefault(id(node.op), len(found))
            if id(tensor) in given:
                done.add(id(node))
                if not node.inputs:
                    order.append(node)
                continue
            if not node.inputs:
                raise GraphError(
                    f"The output made by {output.node.op.name!r} depends on the input "
                    f"{node.op.name!r}, which is not among the model's inputs. Add it to them."
                )
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in reversed(node.inputs))
    reached = {id(t.node) for t in inputs} & done
    if not reached:
        raise GraphError(
            f"The outputs do not depend on the inputs: {outputs[0].node.op.name!r} cannot be "
            f"reached from {inputs[0].node.op.name!r}. Build the outputs from these inputs."
        )
    return [n for n in order if n.inputs], _by_depth(order, inputs, found)


def _by_depth(order: list[Node], inputs: list[SymbolicTensor], found: dict[int, int]) -> list[Any]:
    depth_of_node: dict[int, int] = {}
    depth_of_op: dict[int, int] = {}
    ops: dict[int, Any] = {}
    for node in reversed(order):
        depth = max(depth_of_node.get(id(node), 0), depth_of_op.get(id(node.op), 0))
        depth_of_node[id(node)] = depth_of_op[id(node.op)] = depth
        ops[id(node.op)] = node.op
        for parent in node.inputs:
            depth_of_node[id(parent.node)] = max(depth + 1, depth_of_node.get(id(parent.node), 0))
    for tensor in inputs:
        if id(tensor.node.op) not in ops and not tensor.node.inputs:
            ops[id(tensor.node.op)] = tensor.node.op
            depth_of_op[id(tensor.node.op)] = 0
            found[id(tensor.node.op)] = -1
    return sorted(ops.values(), key=lambda op: (-depth_of_op[id(op)], found[id(op)]))
