"""Model folders from anybody: read back exactly, or refused in one sentence with code 3."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("skops")

import pandas as pd
import strangers

from evenflow.cli import main
from evenflow.fit.columns import Wishes
from evenflow.fit.fitting import fitted
from evenflow.fit.keeping import Damaged, load, save
from evenflow.fit.table import checked


def made(maker: Callable[..., Any]) -> tuple[Any, Any]:
    """A small model with every kind of column, and its table."""
    table, __, target = maker(120, seed=4)
    wishes = Wishes(keep=("remarks", "listed"))
    found = checked(table, target, wishes=wishes)
    options = {"hidden": 4, "epochs": 3, "l2": 1.0, "heal": False}
    return fitted(found, 0, options, 0, lambda name: lambda a, b: None), found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    for name, maker in (("houses", strangers.houses), ("churn", strangers.churn)):
        result, found = made(maker)
        facts = {"target": "y", "task": found.task}
        save(root / name, result.model, result.encoder, facts, "<p>")
        found.X.to_csv(root / f"{name}.csv", index=False)
    return {name: root / name for name in ("houses", "churn")}


@pytest.mark.parametrize("maker", [strangers.houses, strangers.churn])
def test_a_model_comes_back_as_it_was(maker: Callable[..., Any], tmp_path: Path) -> None:
    result, found = made(maker)
    save(tmp_path / "m", result.model, result.encoder, {"target": "y", "task": found.task}, "")
    model, encoder, __ = load(tmp_path / "m")
    assert encoder.columns == result.encoder.columns
    rows = encoder.transform(found.X)[0]
    np.testing.assert_array_equal(rows, result.encoder.transform(found.X)[0])
    np.testing.assert_array_equal(model.predict(rows), result.model.predict(rows))


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        facts = json.loads((folder / "model.json").read_text())
        change(facts)
        (folder / "model.json").write_text(json.dumps(facts))

    return apply


def weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        state = load_file(folder / "weights.safetensors")
        change(state)
        save_file(state, folder / "weights.safetensors")

    return apply


def packed(change: Callable[[dict[str, bytes]], Any]) -> Callable[[Path], None]:
    """Change the members of preprocessing.skops."""

    def apply(folder: Path) -> None:
        path = folder / "preprocessing.skops"
        with zipfile.ZipFile(path) as old:
            held = {name: old.read(name) for name in old.namelist()}
        change(held)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name, data in held.items():
                new.writestr(name, data)

    return apply


def swapped(old: str, new: str) -> Callable[[Path], None]:
    """Put other words into the schema of preprocessing.skops, where it has the old ones."""

    def change(held: dict[str, bytes]) -> None:
        text = held["schema.json"].decode()
        assert old in text, old
        held["schema.json"] = text.replace(old, new).encode()

    return packed(change)


def huge(held: dict[str, bytes]) -> None:
    name = next(n for n in held if n.endswith(".npy"))
    at = held[name].index(b"'shape': (")
    end = held[name].index(b")", at)
    shape = b"'shape': (" + b"9" * (end - at - 11) + b","
    held[name] = held[name][:at] + shape + held[name][end:]


def first(state: dict[str, Any]) -> Any:
    return next(iter(state.values()))


HOSTILE: dict[str, Callable[[Path], None]] = {
    "a layer of a billion": edited(lambda f: f["shape"].update(hidden=[10**9])),
    "a billion inputs": edited(lambda f: f["shape"].update(inputs=10**9)),
    "a hundred thousand layers": edited(
        lambda f: f["shape"].update(hidden=[4] * 10**5, activations=["silu"] * 10**5)
    ),
    "no whole number": edited(lambda f: f["shape"].update(inputs=1e300)),
    "a truth for a number": edited(lambda f: f["shape"].update(outputs=True)),
    "an unknown activation": edited(lambda f: f["shape"].update(activations=["\x1b[2Jos"])),
    "more in the shape": edited(lambda f: f["shape"].update(surprise=1)),
    "no target": edited(lambda f: f.pop("target")),
    "a target of escapes": edited(lambda f: f.update(target=["\x1b[2J"])),
    "another format": edited(lambda f: f.update(format="\x1b[2J" * 10**5)),
    "another task": edited(lambda f: f.update(task="sorcery")),
    "columns gone": edited(lambda f: f.update(columns=[])),
    "a column more": edited(lambda f: f["columns"].append(dict(f["columns"][-1], name="z"))),
    "columns of another kind": edited(lambda f: [c.update(kind="magic") for c in f["columns"]]),
    "scaling by zero": edited(lambda f: f["scaling"]["size"].__setitem__(0, 0.0)),
    "scaling of another width": edited(lambda f: f["scaling"]["shift"].pop()),
    "a number too large": lambda p: (p / "model.json").write_text('{"format": 1e999}'),
    "NaN in the JSON": lambda p: (p / "model.json").write_text('{"format": NaN}'),
    "401 digits": edited(lambda f: f["scaling"]["shift"].__setitem__(0, 10**400)),
    "5000 digits": lambda p: (p / "model.json").write_text('{"format": ' + "9" * 5000 + "}"),
    "brackets": lambda p: (p / "model.json").write_text("[" * 10**6),
    "a list": lambda p: (p / "model.json").write_text("[]"),
    "empty JSON": lambda p: (p / "model.json").write_bytes(b""),
    "no UTF-8": lambda p: (p / "model.json").write_bytes(b"\xff\xfe\x00"),
    "NaN weights": weights(lambda s: first(s).view(-1)[0].fill_(float("nan"))),
    "infinite weights": weights(lambda s: first(s).view(-1)[-1].fill_(float("inf"))),
    "a weight gone": weights(lambda s: s.pop(next(iter(s)))),
    "a weight more": weights(lambda s: s.update(more=first(s).clone())),
    "weights of half precision": weights(lambda s: s.update({k: v.half() for k, v in s.items()})),
    "weights of whole numbers": weights(lambda s: s.update({k: v.long() for k, v in s.items()})),
    "weights cut off": lambda p: (p / "weights.safetensors").write_bytes(
        (p / "weights.safetensors").read_bytes()[:-9]
    ),
    "no weights": lambda p: (p / "weights.safetensors").unlink(),
    "a header without end": lambda p: (p / "weights.safetensors").write_bytes(b"\xff" * 64),
    "no archive": lambda p: (p / "preprocessing.skops").write_bytes(b"PK\x03\x04nothing"),
    "another file in it": packed(lambda held: held.update({"run.py": b"import os"})),
    "an array of another size": packed(huge),
    "an archive of zeros": packed(lambda held: held.update({"x.npy": bytes(300_000_000)})),
    "a schema of brackets": packed(lambda held: held.update({"schema.json": b"[" * 10**6})),
    "another class": swapped('"SimpleImputer"', '"FunctionTransformer"'),
    "a pattern that never ends": swapped("(?u)", "(a+)+$"),
    "code": swapped('"SimpleImputer"', '"system"'),
}
CLASSES: dict[str, Callable[[Path], None]] = {
    "one class": edited(lambda f: f["classes"]["values"][0][1].pop()),
    "classes twice": edited(lambda f: f["classes"]["values"][0].__setitem__(1, ["a", "a"])),
    "classes of another kind": edited(lambda f: f["classes"]["values"][0].__setitem__(1, [1, 2])),
    "classes that are objects": edited(lambda f: f["classes"]["values"][0].__setitem__(0, "O")),
    "classes without values": edited(lambda f: f["classes"].update(values=[])),
}


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fails by MemoryError, which is no sentence, where a size is believed."""
    resource = pytest.importorskip("resource")
    old = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (600 << 20), old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, old)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="bounds memory by /proc")
@pytest.mark.parametrize(
    ("kind", "name"),
    [*((k, n) for n in HOSTILE for k in ("houses",)), *(("churn", n) for n in CLASSES)],
)
def test_a_hostile_folder_is_one_sentence_and_code_3(
    kind: str, name: str, folders: dict[str, Path], tmp_path: Path, bounded: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "m"
    shutil.copytree(folders[kind], folder)
    (HOSTILE | CLASSES)[name](folder)
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), str(folders[kind]) + ".csv", "-o", str(out)]) == 3
    err = capsys.readouterr().err.rstrip("\n")
    assert "damaged" in err and "MemoryError" not in err
    assert err.isprintable() and len(err) < 500
    assert not out.exists()


def test_flipped_bytes_never_end_in_a_traceback(folders: dict[str, Path], tmp_path: Path) -> None:
    """120 mutations of fixed seeds: a model, or one sentence."""
    draws = random.Random(0)
    row = pd.read_csv(str(folders["churn"]) + ".csv").head(2)
    refused = 0
    for turn in range(120):
        folder = tmp_path / str(turn)
        shutil.copytree(folders["churn"], folder)
        path = folder / draws.choice(("model.json", "weights.safetensors", "preprocessing.skops"))
        data = bytearray(path.read_bytes())
        for __ in range(draws.choice((1, 3, 40))):
            data[draws.randrange(len(data))] = draws.randrange(256)
        if draws.random() < 0.2:
            del data[draws.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            model, encoder, __ = load(folder)
        except Damaged as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 500
        else:
            p = model.predict_proba(encoder.transform(row)[0])
            assert p.shape == (2, 2) and np.isfinite(p).all()
        shutil.rmtree(folder)
    assert refused > 60
