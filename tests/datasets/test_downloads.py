"""Every data set from files made here, by file:// and a server on this machine; what is refused."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from nnkit.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from nnkit.datasets.files import RemoteFile, unpickled
from nnkit.errors import ArgumentError, DataError, DownloadError

RANDOM = np.random.RandomState(5)


# -- the files -------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.tobytes())


def pictures(count: int, *labels: str) -> bytes:
    data = {b"data": RANDOM.randint(0, 256, (count, 3072)).astype("uint8")}
    for number, label in enumerate(labels):
        data[label.encode()] = [(place + number) % 10 for place in range(count)]
    return pickle.dumps(data, protocol=3)


def archive(path: Path, folder: str, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def texts(count: int) -> np.ndarray:
    made = np.empty(count, dtype=object)
    for place in range(count):
        made[place] = RANDOM.randint(1, 40, RANDOM.randint(2, 12)).tolist()
    return made


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    """The files of all sets, a few samples each."""
    folder = tmp_path / "server"
    folder.mkdir()
    for name, rows, columns in (("california_housing", 620, 8), ("boston_housing", 30, 13)):
        np.savez(folder / f"{name}.npz", x=RANDOM.rand(rows, columns), y=RANDOM.rand(rows))
    np.savez(
        folder / "imdb.npz", x_train=texts(12), y_train=RANDOM.randint(0, 2, 12), x_test=texts(9),
        y_test=RANDOM.randint(0, 2, 9),
    )  # fmt: skip
    np.savez(folder / "reuters.npz", x=texts(20), y=RANDOM.randint(0, 46, 20))
    (folder / "imdb_word_index.json").write_text(json.dumps({"film": 1, "café": 2}), "utf-8")
    batches = {f"data_batch_{number}": pictures(4, "labels") for number in range(1, 6)}
    batches["test_batch"] = pictures(3, "labels")
    archive(folder / "cifar10.tar.gz", "cifar-10-batches-py", batches)
    both = ("fine_labels", "coarse_labels")
    archive(
        folder / "cifar100.tar.gz", "cifar-100-python",
        {"train": pictures(6, *both), "test": pictures(2, *both)},
    )  # fmt: skip
    return {path.name: path for path in folder.iterdir()}


# -- against Keras ---------------------------------------------------------------------------------

TEXT_OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_words": 20},
    {"num_words": 20, "skip_top": 5, "seed": 7},
    {"maxlen": 8, "num_words": 30},
    {"start_char": None, "index_from": 0},
    {"start_char": None, "index_from": 3, "oov_char": None, "num_words": 15},
    {"start_char": 9, "index_from": 10, "oov_char": 8, "num_words": 25, "skip_top": 14},
]
CASES: list[tuple[ModuleType, str, dict[str, Any]]] = [
    (california_housing, "california_housing.npz", {}),
    (california_housing, "california_housing.npz", {"version": "small", "test_split": 0.5}),
    (california_housing, "california_housing.npz", {"seed": 3, "test_split": 0.0}),
    (boston_housing, "boston_housing.npz", {}),
    (boston_housing, "boston_housing.npz", {"seed": 3, "test_split": 0.35}),
    *((imdb, "imdb.npz", options) for options in TEXT_OPTIONS),
    *((reuters, "reuters.npz", options) for options in TEXT_OPTIONS),
    (reuters, "reuters.npz", {"test_split": 0.4}),
]


@pytest.mark.parametrize(("module", "name", "options"), CASES)
def test_data_is_keras_own(
    module: ModuleType, name: str, options: Any, made: Any, serve: Any, monkeypatch: Any
) -> None:
    serve(module, made[name])
    theirs = getattr(keras.src.datasets, module.__name__.rpartition(".")[2])
    monkeypatch.setattr(theirs, "get_file", lambda *_, **__: str(made[name]))
    for ours, expected in zip(
        module.load_data(**options), theirs.load_data(**options), strict=True
    ):
        for one, other in zip(ours, expected, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)


def test_topics_are_keras_own() -> None:
    assert reuters.get_label_names() == keras.datasets.reuters.get_label_names()


def test_the_facts_about_files_are_keras_own(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        module: (module._FILE.origin, module._FILE.name, module._FILE.file_hash)
        for module in (
            boston_housing, california_housing, cifar10, cifar100, imdb, mnist, reuters,
        )
    }  # fmt: skip

    class AskedError(Exception):
        pass

    def ask(fname: str, origin: str, file_hash: str, **_: Any) -> None:
        raise AskedError(origin, fname, file_hash)

    for module, facts in files.items():
        theirs = getattr(keras.src.datasets, module.__name__.rpartition(".")[2])
        monkeypatch.setattr(theirs, "get_file", ask)
        with pytest.raises(AskedError) as asked:
            theirs.load_data()
        assert asked.value.args == facts


# -- pictures --------------------------------------------------------------------------------------


def test_cifar10(made: Any, serve: Any) -> None:
    serve(cifar10, made["cifar10.tar.gz"])
    (x, y), (test_x, test_y) = cifar10.load_data()
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((20, 32, 32, 3), (20, 1), "uint8", "uint8")
    assert (test_x.shape, test_y.tolist()) == ((3, 32, 32, 3), [[0], [1], [2]])
    assert y[:, 0].tolist() == [0, 1, 2, 3] * 5
    with tarfile.open(made["cifar10.tar.gz"]) as tar:
        first = pickle.load(tar.extractfile("cifar-10-batches-py/data_batch_1"), encoding="bytes")
    plane = first[b"data"][0].reshape(3, 32, 32)
    np.testing.assert_array_equal(x[0, :, :, 2], plane[2])


@pytest.mark.parametrize(("mode", "labels"), [("fine", [0, 1]), ("coarse", [1, 2])])
def test_cifar100(made: Any, serve: Any, mode: str, labels: list[int]) -> None:
    serve(cifar100, made["cifar100.tar.gz"])
    (x, y), (_, test_y) = cifar100.load_data(mode)
    assert (x.shape, y.shape) == ((6, 32, 32, 3), (6, 1))
    assert test_y[:, 0].tolist() == labels


def test_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [
        RANDOM.randint(0, 256, size).astype("uint8")
        for size in ((5,), (5, 28, 28), (2,), (2, 28, 28))
    ]
    files = {}
    for (name, file), array in zip(fashion_mnist._FILES.items(), arrays, strict=True):
        path = tmp_path / name
        path.write_bytes(idx(array))
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        files[name] = file._replace(origin=path.as_uri(), file_hash=digest)
    monkeypatch.setattr(fashion_mnist, "_FILES", files)
    (x, y), (test_x, test_y) = fashion_mnist.load_data()
    for got, expected in zip((y, x, test_y, test_x), arrays, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert x.flags.writeable
    assert sorted(os.listdir(tmp_path / "own" / "datasets" / "fashion-mnist")) == sorted(files)


def test_a_broken_idx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(b"no labels"))
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    file = RemoteFile(path.as_uri(), digest, "labels.gz")
    monkeypatch.setattr(fashion_mnist, "_FILES", dict.fromkeys("abcd", file))
    with pytest.raises(DataError, match="no file of images or labels"):
        fashion_mnist.load_data()


# -- words, caches and errors ----------------------------------------------------------------------


def test_word_index(made: Any, serve: Any) -> None:
    serve(imdb, made["imdb_word_index.json"], "_INDEX")
    assert imdb.get_word_index() == {"film": 1, "café": 2}
    assert reuters._INDEX.file_hash == "4d44cc38712099c9e383dc6e5f11a921"


@pytest.fixture
def server(made: Any) -> Iterator[str]:
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(next(iter(made.values())).parent)
    )
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_from_a_server_once(made: Any, serve: Any, server: str) -> None:
    serve(boston_housing, made["boston_housing.npz"], origin=f"{server}/boston_housing.npz")
    (x, _), _ = boston_housing.load_data()
    made["boston_housing.npz"].unlink()
    np.testing.assert_array_equal(boston_housing.load_data()[0][0], x)


def test_a_file_that_is_not_the_one_expected(made: Any, serve: Any) -> None:
    serve(boston_housing, made["boston_housing.npz"], file_hash="0" * 64)
    with pytest.raises(DownloadError, match=r"Boston housing could not be downloaded") as caught:
        boston_housing.load_data()
    assert "sha256 is not" in str(caught.value.__cause__)


def test_an_archive_that_keras_downloaded(made: Any, serve: Any, tmp_path: Path) -> None:
    serve(cifar10, made["cifar10.tar.gz"])
    theirs = tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target_archive"
    theirs.parent.mkdir(parents=True)
    made["cifar10.tar.gz"].rename(theirs)
    assert len(cifar10.load_data()[0][0]) == 20


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (cifar10, r"CIFAR-10 could .* Fetch file:.* save it as .*py-target_archive\."),
        (imdb, r"IMDB could .* save it as .*own.datasets.imdb\.npz\."),
    ],
)
def test_offline(module: Any, said: str, made: Any, serve: Any) -> None:
    name = {cifar10: "cifar10.tar.gz", imdb: "imdb.npz"}[module]
    serve(module, made[name])
    made[name].unlink()
    with pytest.raises(DownloadError, match=said):
        module.load_data()


def test_a_file_can_be_put_where_the_error_says(made: Any, serve: Any, tmp_path: Path) -> None:
    serve(cifar10, made["cifar10.tar.gz"])
    place = tmp_path / "own" / "datasets" / "cifar-10-batches-py-target_archive"
    place.parent.mkdir(parents=True)
    made["cifar10.tar.gz"].rename(place)
    assert len(cifar10.load_data()[1][0]) == 3


def test_a_pickle_that_runs_code_is_refused(made: Any, serve: Any, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    evil = np.empty(2, dtype=object)
    evil[:] = [Evil(), [1]]
    np.savez(made["reuters.npz"], x=evil, y=np.zeros(2))
    serve(reuters, made["reuters.npz"])
    with pytest.raises(DataError, match=r"names (posix|nt)\.mkdir"):
        reuters.load_data()
    assert not (tmp_path / "ran").exists()


def test_a_damaged_pickle() -> None:
    with pytest.raises(DataError, match="is damaged"):
        unpickled(b"\x80\x04garbage")


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: california_housing.load_data("medium"), ArgumentError, "version of California"),
        (lambda: california_housing.load_data(test_split=1.0), ArgumentError, "below 1, got 1.0"),
        (lambda: boston_housing.load_data(test_split=-0.1), ArgumentError, "test_split"),
        (lambda: reuters.load_data(test_split=2), ArgumentError, "test_split"),
        (lambda: cifar100.load_data("rough"), ArgumentError, "Unknown label_mode 'rough'"),
    ],
)
def test_wrong_arguments_are_refused_before_a_download(call: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        call()


@pytest.mark.parametrize(("module", "name"), [(imdb, "imdb.npz"), (reuters, "reuters.npz")])
def test_no_text_is_short_enough(module: Any, name: str, made: Any, serve: Any) -> None:
    serve(module, made[name])
    with pytest.raises(DataError, match="No text is shorter than maxlen=2"):
        module.load_data(maxlen=2)
