"""Files of segue's own, mutated from a seed: each is read as it was written, or refused in one line."""

import json
import random
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from children import write_figures
from small_study import trained

import segue
from segue.cohort import Store
from segue.errors import InputError
from segue.generation import ledger
from segue.hub.locate import MODELS
from segue.pipeline.done import done_as, read_done
from segue.sealed import checksum, sealed
from segue.tensor_file import read_table
from segue.training.state import CHECKPOINT, EARLIER, State

pytestmark = pytest.mark.xdist_group("small_study")
HANGS, MOST_MEGABYTES = 60, 1000
ODD = [None, True, -1, 0, 1, 1e30, -1e30, 10**9, 10**400, "", "x" * 5000, "../up", "a\nb", [], {}, [[]], [1e30] * 3]


# ---- mutations ---------------------------------------------------------------------------------------------------


def flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 30))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def emptied(content: bytes, draw: random.Random) -> bytes:
    return b""


def filled(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    length = min(draw.choice((4, 512, 4096)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def grown(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + draw.randbytes(draw.choice((1, 8, 600))) + content[at:]


def entries(content: object, path: tuple = ()) -> list[tuple]:
    """Where values stand in a JSON document."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path] * bool(path) + [one for key, value in inner for one in entries(value, (*path, key))]


def odd_entry(content: dict, draw: random.Random) -> dict:
    """A JSON document with one value that is odd, or missing."""
    changed = json.loads(json.dumps(content))
    *above, key = draw.choice(entries(changed))
    there = changed
    for one in above:
        there = there[one]
    if draw.random() < 0.2:
        del there[key]
    else:
        there[key] = draw.choice(ODD)
    return changed


BYTES = [flipped, flipped, cut, emptied, filled, grown]


def mutate(file: Path, draw: random.Random) -> str:
    """Change a file in one of the ways that disks and people do."""
    if draw.random() < 0.08:
        file.unlink()
        return "missing"
    way = draw.choice(BYTES)
    content = file.read_bytes() or b"\0"
    file.write_bytes(way(content, draw))
    return way.__name__


# ---- what is read ------------------------------------------------------------------------------------------------


class Campaign:
    """Counts of how mutants ended."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.slowest, self.memory = 0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def read(self, what: str, read: Callable[[], object], expected: object = None) -> None:
        """Read a mutant: it is refused in one line, or is what it was; anything else fails."""
        began = time.perf_counter()
        signal.signal(signal.SIGALRM, lambda *given: pytest.fail(f"{what}: hangs"))
        signal.alarm(HANGS)
        try:
            found = read()
            assert expected is None or found == expected, f"{what}: was read as something else"
            self.ends["read as written" if expected is not None else "read"] += 1
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000, f"{what}: {error}"
            self.ends["refused in one line"] += 1
        finally:
            signal.alarm(0)
        self.slowest = max(self.slowest, time.perf_counter() - began)

    def figures(self) -> dict[str, object]:
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.memory) / 1024
        assert grown < MOST_MEGABYTES
        ends = dict(self.ends) | {"inputs": sum(self.ends.values()), "tracebacks": 0, "hangs": 0}
        return ends | {"slowest_seconds": round(self.slowest, 2), "peak_megabytes_more": round(grown)}


def fuzz_exported(campaign: Campaign, folder: Path, count: int, seed: int) -> None:
    """An exported model, its files damaged; or its settings odd and signed again."""
    draw, source = random.Random(seed), MODELS / "coronary-phantom"
    expected = ledger.weights_of(segue.load(source))
    for number in range(count):
        model = Path(shutil.copytree(source, folder / str(number)))
        if number % 2:
            settings = odd_entry(json.loads((model / "model.json").read_text()), draw)
            settings["files"] = json.loads((source / "model.json").read_text())["files"]
            settings["checksum"] = checksum(settings)
            (model / "model.json").write_text(json.dumps(settings))
            campaign.read(f"exported {number}: {settings}", lambda model=model: segue.load(model))
        else:
            file = draw.choice(["model.json", "model.safetensors"])
            how = mutate(model / file, draw)
            weights = lambda model=model: ledger.weights_of(segue.load(model))  # noqa: E731
            campaign.read(f"exported {number}: {file} {how}", weights, expected)
        shutil.rmtree(model)


def run_files(run: Path) -> list[str]:
    """What is read of a run when its model is loaded."""
    names = ["segmentor", "pretrain/map", "finetune/segue", "panel/second"]
    found = [f"{name}/{file}" for name in names for file in ("config.json", "model.safetensors", "done.json")]
    return [*found, "measure/measured.safetensors", "measure/done.json", "prepare/done.json"]


def fuzz_run(campaign: Campaign, folder: Path, count: int, seed: int, *, old: bool) -> None:
    """A run's folder, of this version or of one that wrote no checksums."""
    draw, source = random.Random(seed), trained()[1]
    run = Path(shutil.copytree(source, folder / f"run-{old}"))
    if old:
        for path in run.rglob("done.json"):
            done = json.loads(path.read_text())
            path.write_text(json.dumps({key: one for key, one in done.items() if key not in ("files", "checksum")}))
    expected = None if old else ledger.weights_of(segue.load(run, method="segue"))
    for number in range(count):
        name = draw.choice(run_files(run))
        content = (run / name).read_bytes()
        if old and name.endswith(".json") and number % 2:
            (run / name).write_text(json.dumps(odd_entry(json.loads(content), draw)))
            how = "odd"
        else:
            how = mutate(run / name, draw)
        if not name.endswith("done.json"):
            campaign.read(
                f"run {number}: {name} {how}", lambda: ledger.weights_of(segue.load(run, method="segue")), expected
            )
        else:
            mark = read_done((source / name).parent)["fingerprint"]
            done, fault = done_as((run / name).parent, mark)
            assert done is None or not fault
            campaign.ends["refused in one line" if fault or done is None else "read as written"] += 1
        (run / name).write_bytes(content)


def rows_of(path: Path) -> list[bytes]:
    store = Store(path)
    found = [tensor.numpy().tobytes() for tensor in store.read(np.arange(len(store))).values()]
    one = [tensor.numpy().tobytes() for tensor in store.read(np.array([3, 1])).values()]
    return [*found, *one, store.table.write_csv().encode(), repr((store.structures, store.unit, store.axes)).encode()]


def fuzz_store(campaign: Campaign, source: Path, folder: Path, count: int, seed: int, *, old: bool) -> None:
    """A prepared cohort, of this version or of one that wrote no checksums."""
    draw = random.Random(seed)
    path = Path(shutil.copytree(source, folder / f"store-{old}.zarr"))
    if old:
        (path / "checksums.json").unlink()
        for name in ("images", "fractions", "spacing"):
            values = np.asarray(zarr.open_group(path, mode="r")[name][:])
            shutil.rmtree(path / name)
            group = zarr.open_group(path, mode="r+")
            group.create_array(name, data=values, chunks=(8, *values.shape[1:]))
    expected = rows_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for number in range(count):
        file = draw.choice(files)
        content = file.read_bytes()
        how = mutate(file, draw)
        campaign.read(f"store {number}: {file} {how}", lambda: rows_of(path), None if old else expected)
        file.write_bytes(content)


def small_state() -> State:
    torch.manual_seed(0)
    return State.start(torch.nn.Linear(8, 8), torch.device("cpu"), lr=0.1, weight_decay=0.0)


def fuzz_checkpoint(campaign: Campaign, folder: Path, count: int, seed: int) -> None:
    """A checkpoint: the training goes on from it, from the one before, or from its start, each as it was written."""
    draw, state = random.Random(seed), small_state()
    known = {0: [one.clone() for one in small_state().parameters]}
    folder.mkdir()
    for step in (1, 2):
        state.load_weights([one + step for one in state.parameters])
        known[step] = [one.detach().clone() for one in state.parameters]
        state.save(folder / CHECKPOINT, step, 1.0)
    files = {name: (folder / name).read_bytes() for name in (CHECKPOINT, EARLIER)}
    for number in range(count):
        hurt = [CHECKPOINT] if number % 3 else [CHECKPOINT, EARLIER]
        how = [mutate(folder / name, draw) for name in hurt]
        found = small_state()

        def same(found: State = found) -> bool:
            step = found.restore(folder / CHECKPOINT)
            return all(torch.equal(a, b) for a, b in zip(found.parameters, known[step], strict=True))

        campaign.read(f"checkpoint {number}: {how}", same, True)
        for name, content in files.items():
            (folder / name).write_bytes(content)


def fuzz_output(campaign: Campaign, folder: Path, count: int, seed: int) -> None:
    """identity.json, summary.json and the parts of what `segue generate` writes."""
    draw = random.Random(seed)
    (folder / "parts").mkdir(parents=True)
    (folder / "identity.json").write_text(sealed({"run": "a", "cohort": "b", "plan": "c", "format": "zarr"}))
    (folder / "summary.json").write_text(json.dumps(dict.fromkeys(ledger.COUNTS, 1)))
    shutil.copyfile(trained()[1] / "evaluate" / "effects-segue.parquet", folder / "parts" / "0000000.parquet")
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    reads: dict[str, Callable[[], object]] = {
        "identity.json": lambda: ledger.identity_of(folder),
        "summary.json": lambda: ledger.finished(folder),
        "parts/0000000.parquet": lambda: read_table(folder / "parts" / "0000000.parquet"),
    }
    for number in range(count):
        name = draw.choice(list(reads))
        how = mutate(folder / name, draw)
        campaign.read(f"output {number}: {name} {how}", reads[name])
        for path, content in kept.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)


def fuzz_all(folder: Path, store: Path, counts: dict[str, int]) -> dict[str, object]:
    """Every kind of file of segue's own; the figures of the campaign."""
    campaign = Campaign()
    fuzz_exported(campaign, folder / "exported", counts["exported"], 1)
    fuzz_run(campaign, folder, counts["run"], 2, old=False)
    fuzz_run(campaign, folder, counts["run"], 3, old=True)
    fuzz_store(campaign, store, folder, counts["store"], 4, old=False)
    fuzz_store(campaign, store, folder, counts["store"], 5, old=True)
    fuzz_checkpoint(campaign, folder / "checkpoint", counts["checkpoint"], 6)
    fuzz_output(campaign, folder / "output", counts["output"], 7)
    return campaign.figures()


def test_100_mutants_of_segues_own_files(tmp_path, phantom_path, capsys):
    counts = {"exported": 20, "run": 12, "store": 16, "checkpoint": 18, "output": 6}
    assert fuzz_all(tmp_path, phantom_path, counts)["inputs"] == 100


@pytest.mark.slow
def test_1000_mutants_of_segues_own_files(tmp_path, phantom_path, capsys):
    counts = {"exported": 200, "run": 120, "store": 160, "checkpoint": 180, "output": 60}
    figures = fuzz_all(tmp_path, phantom_path, counts)
    assert figures["inputs"] == 1000
    write_figures("fuzz_own", figures)
