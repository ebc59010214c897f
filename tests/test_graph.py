"""Plans: order, slots, copies, compilers, threads."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit.errors import GraphError
from nnkit.graph import Graph
from nnkit.layers import Concatenate, Dense, Dropout, Input, ReLU
from nnkit.models import Model, Sequential


def branched() -> Model:
    a, b = Input((8,), name="a"), Input((4,), name="b")
    x = torch.cat([Dense(5, "relu")(a), b], -1)
    y = F.gelu(x) * 2 + nn.Parameter(torch.ones(9))
    z = y.reshape(y.size(0), 3, 3)[:, ::2, None, ...]
    normal = nn.BatchNorm1d(6)(z.flatten(1))
    return Model([a, b], {"o": nn.Linear(6, 2)(normal), "z": (z, [normal])})


def data(batch: int = 3) -> list[torch.Tensor]:
    return [torch.rand(batch, 8), torch.rand(batch, 4)]


def same(first: Any, second: Any) -> None:
    torch.testing.assert_close(first["o"], second["o"])
    torch.testing.assert_close(first["z"][1][0], second["z"][1][0])


def test_operations_come_by_depth_then_discovery() -> None:
    x = Input((2,), name="x")
    late = Dense(2, name="late")(x)
    early = Dense(2, name="early")(Dense(2, name="first")(x))
    graph = Graph(x, Concatenate(name="join")([late, early]))
    assert [op.name for op in graph.operations] == ["x", "first", "late", "early", "join"]


def test_memory_goes_when_nobody_reads_it() -> None:
    """Every slot but the outputs is freed by the step that reads it last."""
    x = Input((3,))
    y = F.relu(x) + x
    graph = Graph(x, [y.exp(), y])
    freed = [slot for step in graph.steps for slot in step.free]
    assert len(freed) == len(set(freed))
    assert set(freed) == set(range(graph.size)) - set(graph.output_slots)


def test_deep_graphs() -> None:
    """Deeper than Python's recursion limit; and copies of 300 nodes."""
    x = Input((2,))
    y = x
    for _ in range(1200):
        y = y + 1
    model = Model(x, y)
    assert model(torch.zeros(1, 2)).tolist() == [[1200.0, 1200.0]]
    y = x
    for step in range(150):
        y = F.relu(Dense(2)(y)) if step % 2 else y + 1
    model, value = Model(x, y), torch.rand(3, 2)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(twin(value), model(value))
        assert twin.get_layer(index=5).output.shape == (None, 2)
    stack = Sequential([Input((2,)), *[Dense(2) for _ in range(300)]])
    twin = pickle.loads(pickle.dumps(stack))
    assert torch.equal(twin(value), stack(value))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(duplicate: Any) -> None:
    model = branched()
    twin, x = duplicate(model), data()
    same(model(x), twin(x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert not torch.allclose(model(x)["o"], twin(x)["o"])
    assert {t.data_ptr() for t in model.weights}.isdisjoint(t.data_ptr() for t in twin.weights)
    sub = Model(twin.inputs, twin.output["o"])
    torch.testing.assert_close(sub(x), twin(x)["o"])


def test_torch_save(tmp_path: Any) -> None:
    model, x = branched(), data()
    torch.save(model, tmp_path / "model.pt")
    same(torch.load(tmp_path / "model.pt", weights_only=False)(x), model(x))


def test_compile() -> None:
    torch._dynamo.reset()
    model, x = branched(), data()
    fast = torch.compile(model, fullgraph=True, backend="aot_eager")
    same(fast(x), model(x))
    fast(x)["o"].sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    more = data(5)
    same(fast(more), model(more))
    model.train()
    fast(x)
    normal = next(m for m in model.modules() if isinstance(m, nn.BatchNorm1d))
    assert normal.num_batches_tracked == 1


def test_compile_modes() -> None:
    torch._dynamo.reset()
    model = Sequential()
    model.add(Input((3,)))
    model.add(Dense(2))
    model.add(Dropout(0.5))
    fast, x = torch.compile(model, fullgraph=True, backend="aot_eager"), torch.ones(64, 3)
    torch.testing.assert_close(fast(x, training=False), model(x))
    assert (fast(x, training=True) == 0).any()
    assert not model.training


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_export_with_a_free_batch(strict: bool) -> None:
    torch._dynamo.reset()
    model, batch = branched(), torch.export.Dim("batch", min=1, max=100)
    program = torch.export.export(
        model, (data(),), dynamic_shapes=([{0: batch}, {0: batch}],), strict=strict
    )
    x = data(7)
    same(program.module()(x), model(x))
    stack = Sequential([Input((3,)), Dense(4, "relu"), Dense(2)])
    program = torch.export.export(
        stack, (torch.rand(2, 3),), dynamic_shapes=({0: batch},), strict=strict
    )
    x = torch.rand(9, 3)
    torch.testing.assert_close(program.module()(x), stack(x))


def test_functional_call_and_transforms() -> None:
    model, x = Sequential([Input((3,)), Dense(2, "relu"), nn.Linear(2, 1)]), torch.rand(4, 3)
    weights = dict(model.named_parameters())
    zeros = {key: value * 0 for key, value in weights.items()}
    assert torch.func.functional_call(model, zeros, (x,)).tolist() == [[0.0]] * 4

    def one(params: Any, sample: Any) -> Any:
        return torch.func.functional_call(model, params, (sample[None],)).sum()

    grads = torch.func.vmap(torch.func.grad(one), (None, 0))(weights, x)
    model(x).sum().backward()
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(grads[key].sum(0), parameter.grad)


def test_distributed_data_parallel(tmp_path: Any) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        model = branched()
        parallel, x = nn.parallel.DistributedDataParallel(model), data()
        same(parallel(x), model(x))
        parallel(x)["o"].sum().backward()
        assert all(p.grad is not None for p in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


def test_hooks_fire() -> None:
    model, seen = branched(), []
    for module in model.modules():
        module.register_forward_hook(lambda module, *_: seen.append(type(module).__name__))
    model(data())
    assert seen == ["Dense", "BatchNorm1d", "Linear", "Model"]


def test_threads_share_a_model() -> None:
    model = Sequential(
        [Input((30,)), *[Dense(30) for _ in range(10)], Dense(2, activity_regularizer="l2")]
    )
    inputs = [torch.rand(4, 30) for _ in range(4)]
    expected, wrong = [model(x) for x in inputs], []

    def work(k: int) -> None:
        for _ in range(40):
            if not torch.equal(model(inputs[k]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    model(inputs[0])
    assert len(model.losses) == 1


def test_replacing_a_layer() -> None:
    """An assigned module takes the place, the name and the shapes of the one before."""
    x = Input((3,))
    model = Model(x, ReLU(name="end")(Dense(5, name="body")(x)))
    model.body = nn.Linear(3, 2)
    assert model.output_shape == (None, 2)
    assert [layer.name for layer in model.layers][1:] == ["body", "end"]
    assert model.get_layer("end").output.shape == (None, 2)
    value = torch.rand(4, 3)
    torch.testing.assert_close(model(value), F.relu(model.body(value)))
    model.body = Dense(7)
    assert model(value).shape == (4, 7)
    assert sorted(model.state_dict()) == ["body.bias", "body.weight"]
    assert copy.deepcopy(model)(value).shape == (4, 7)
    model.body = nn.Identity()
    torch.testing.assert_close(model(value), value)


@pytest.mark.parametrize("ready", [True, False])
def test_replacing_in_a_sequential(ready: bool) -> None:
    model = Sequential([*([Input((3,))] if ready else []), Dense(5, name="body"), Dense(1)])
    model.body = nn.Linear(3, 4) if not ready else nn.Linear(3, 5)
    value = torch.rand(2, 3)
    assert model(value).shape == (2, 1)
    assert model.layers[0].name == "body"
    assert model.count_params() == (26 if ready else 21)


def test_a_replacement_must_fit() -> None:
    x = Input((3,))
    model = Model(x, Dense(2)(Dense(5, name="body")(x)))
    with pytest.raises(ValueError, match="was built for 5 features but received"):
        model.body = nn.Linear(3, 4)


def test_unreached_inputs() -> None:
    a, b = Input((2,)), Input((2,))
    assert Model([a, b], Dense(1)(a))([torch.ones(3, 2), torch.ones(3, 2)]).shape == (3, 1)
    with pytest.raises(GraphError, match="depends on the input"):
        Model(a, Dense(1)(b))
