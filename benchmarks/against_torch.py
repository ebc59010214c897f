"""Time of `fit` and `predict` against the best hand-written torch loop, in one interleaved run.

Both sides do the same work on the same data: shuffled batches, loss and accuracy kept on the
device. Rounds alternate, and the figure is the median over rounds of nnkit's time / torch's time,
so that a machine that changes its speed changes both.

    python benchmarks/against_torch.py --threads 1
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from interleaved import memory_rise
from torch import nn

import nnkit
from nnkit import layers

Run = Callable[[], Any]


def torch_loop(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor,
    batch: int, half: bool = False,
) -> Run:  # fmt: skip
    """One epoch as a careful torch user writes it; `half` turns autocast to bfloat16 on."""

    def epoch() -> tuple[float, float]:
        model.train()
        total = torch.zeros((), device=x.device)
        right = torch.zeros((), device=x.device)
        order = torch.randperm(len(x), device=x.device)
        for chunk in order.split(16 * batch):
            pairs = zip(x[chunk].split(batch), y[chunk].split(batch), strict=True)
            for inputs, targets in pairs:
                with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
                    logits = model(inputs)
                loss = F.cross_entropy(logits.float() if half else logits, targets)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    total += loss.detach() * len(inputs)
                    right += (logits.argmax(1) == targets).sum()
        return total.item() / len(x), right.item() / len(x)

    return epoch


def fit(
    model: Any, optimizer: Any, x: Any, y: Any, batch: int, verbose: int = 0, callbacks: Any = None
) -> Run:
    """One epoch of nnkit's fit; a progress bar goes nowhere, but is drawn."""
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def epoch() -> None:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            model.fit(x, y, batch_size=batch, epochs=1, verbose=verbose, callbacks=callbacks)

    return epoch


class LastStep(nn.Module):
    """A torch LSTM classifier that reads the last time step."""

    def __init__(self, features: int, units: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)
        self.head = nn.Linear(units, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class ChannelsLast(nn.Module):
    """Takes (batch, height, width, channels), as nnkit does, without a copy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(-1, 1)


def mlp(device: str, half: bool = False, **how: Any) -> tuple[Run, Run]:
    """The course's MLP, 784-300-100-10, SGD, batch 32."""
    nnkit.config.set_dtype_policy("mixed_bfloat16" if half else "float32")
    x, y = torch.randn(8000, 784, device=device), torch.randint(0, 10, (8000,), device=device)
    ours = nnkit.Sequential(
        [
            nnkit.Input((784,)),
            layers.Dense(300, "relu"),
            layers.Dense(100, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )
    theirs = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    ).to(device)
    nnkit.config.set_dtype_policy("float32")
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.01, fused=True)
    run = fit(ours, nnkit.optimizers.SGD(0.01), x, y, 32, **how)
    return run, torch_loop(theirs, sgd, x, y, 32, half)


class Listener(nnkit.callbacks.Callback):
    """Hears of every batch and does nothing."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        pass

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


def mlp_progress(device: str) -> tuple[Run, Run]:
    """The MLP with a progress bar."""
    return mlp(device, verbose=1)


def mlp_callback(device: str) -> tuple[Run, Run]:
    """The MLP with a callback that is called for every batch and does nothing."""
    return mlp(device, callbacks=[Listener()])


def mlp_mixed(device: str) -> tuple[Run, Run]:
    """The MLP under "mixed_bfloat16" against torch.autocast."""
    return mlp(device, half=True)


def vgg_head(device: str) -> tuple[Run, Run]:
    """The head of a frozen VGG16, 7 x 7 x 512 features to 256 to 10, Adam, batch 32, progress."""
    x = torch.rand(512, 7, 7, 512, device=device)
    y = torch.randint(0, 10, (512,), device=device)
    ours = nnkit.Sequential(
        [
            nnkit.Input((7, 7, 512)),
            layers.Flatten(),
            layers.Dense(256, "relu"),
            layers.Dropout(0.5),
            layers.Dense(10, "softmax"),
        ]
    )
    theirs = nn.Sequential(
        nn.Flatten(), nn.Linear(25088, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10)
    ).to(device)
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    run = fit(ours, nnkit.optimizers.Adam(1e-3), x, y, 32, verbose=1)
    return run, torch_loop(theirs, adam, x, y, 32)


def cnn(device: str, batch: int = 128) -> tuple[Run, Run]:
    """A small MNIST network, Adam, batch 128."""
    x = torch.rand(2048, 28, 28, 1, device=device)
    y = torch.randint(0, 10, (2048,), device=device)
    ours = nnkit.Sequential(
        [
            nnkit.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, "softmax"),
        ]
    )
    theirs = nn.Sequential(
        ChannelsLast(), nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1600, 10),
    ).to(device, memory_format=torch.channels_last)  # fmt: skip
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    ours_run = fit(ours, nnkit.optimizers.Adam(1e-3), x, y, batch)
    return ours_run, torch_loop(theirs, adam, x, y, batch)


def lstm(device: str) -> tuple[Run, Run]:
    """An LSTM over 80 steps of 64 features, 128 units, Adam, batch 32."""
    x = torch.randn(512, 80, 64, device=device)
    y = torch.randint(0, 10, (512,), device=device)
    ours = nnkit.Sequential([nnkit.Input((80, 64)), layers.LSTM(128), layers.Dense(10, "softmax")])
    theirs = LastStep(64, 128, 10).to(device)
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    return fit(ours, nnkit.optimizers.Adam(1e-3), x, y, 32), torch_loop(theirs, adam, x, y, 32)


def predict_one(device: str) -> tuple[Run, Run]:
    """`predict` on one sample against a bare call of the same torch modules."""
    ours = nnkit.Sequential(
        [
            nnkit.Input((784,)),
            layers.Dense(300, "relu"),
            layers.Dense(100, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )
    theirs = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10),
        nn.Softmax(-1),
    ).to(device).eval()  # fmt: skip
    x = torch.randn(1, 784, device=device)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(200):
                theirs(x)

    def predicting() -> None:
        for _ in range(200):
            ours.predict(x, verbose=0)

    return predicting, bare


class Residual(nn.Module):
    """75 times x + relu(linear(x)): as many calls as the functional model's 150 nodes and more."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return x


def graph(device: str) -> tuple[Run, Run]:
    """A functional model of 150 nodes against the same network as a torch module."""
    inputs = x = nnkit.Input((256,))
    for _ in range(75):
        x = x + layers.Dense(256, "relu")(x)
    ours = nnkit.Model(inputs, x).to(device)
    theirs = Residual(256, 75).to(device)
    data = torch.randn(32, 256, device=device)

    def calls(model: nn.Module) -> Run:
        def run() -> None:
            with torch.inference_mode():
                for _ in range(20):
                    model(data)

        return run

    return calls(ours), calls(theirs)


CASES: dict[str, Callable[[str], tuple[Run, Run]]] = {
    "graph": graph,
    "mlp": mlp,
    "mlp_progress": mlp_progress,
    "mlp_callback": mlp_callback,
    "mlp_mixed": mlp_mixed,
    "cnn": cnn,
    "lstm": lstm,
    "vgg_head": vgg_head,
    "predict_one": predict_one,
}


def import_seconds(extra: str) -> float:
    """How long a fresh process takes to import torch, or torch and nnkit."""
    code = (
        f"import time; t = time.perf_counter(); import torch{extra}; print(time.perf_counter() - t)"
    )
    # As installed packages are: with their bytecode cached.
    cached = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return float(subprocess.check_output([sys.executable, "-c", code], env=cached))


def peak_mebibytes(side: str, threads: int) -> float:
    """How far the memory of a fresh process rises while one side of the CNN trains, batch 1024."""
    command = [sys.executable, __file__, "--alone", side, "--threads", str(threads)]
    return float(subprocess.check_output(command))


def run_alone(side: str) -> None:
    """Train one side of the CNN for three epochs and print by how many MiB the memory rose."""
    ours, theirs = cnn("cpu", batch=1024)
    run = ours if side == "nnkit" else theirs
    print(memory_rise(lambda: [run() for _ in range(3)]) / 2**20)


def timed(run: Run, device: str) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=[*CASES, "import", "memory"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", choices=["nnkit", "torch"], help="one side, for its memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    nnkit.config.set_device(options.device)
    if options.alone:
        run_alone(options.alone)
        return
    print(f"torch {torch.__version__}, {options.device}, {options.threads} thread(s)")
    for name in options.cases:
        if name == "import":
            import_seconds(", nnkit")
            pairs = [(import_seconds(", nnkit"), import_seconds("")) for _ in range(5)]
            extra = statistics.median(a - b for a, b in pairs)
            print(f"{name:12} nnkit adds {extra:.3f} s to import torch")
            continue
        if name == "memory":
            runs = [
                [peak_mebibytes(side, options.threads) for side in ("nnkit", "torch")]
                for _ in range(7)
            ]
            sides = [statistics.median(side) for side in zip(*runs, strict=True)]
            print(
                f"memory       nnkit / torch: {sides[0] / sides[1]:.3f} "
                f"({sides[0]:.0f} and {sides[1]:.0f} MiB, CNN, batch 1024)"
            )
            continue
        ours, theirs = CASES[name](options.device)
        for run in (ours, theirs):
            run()
        pairs = [
            (timed(ours, options.device), timed(theirs, options.device))
            for _ in range(options.rounds)
        ]
        ratios = sorted(a / b for a, b in pairs)
        best = min(a for a, _ in pairs) / min(b for _, b in pairs)
        print(
            f"{name:12} nnkit / torch: median {statistics.median(ratios):.3f} "
            f"(of {ratios[0]:.3f} to {ratios[-1]:.3f}), best against best {best:.3f}"
        )


if __name__ == "__main__":
    main()
