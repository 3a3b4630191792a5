import importlib
import multiprocessing
import os
import signal
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from segue.cohort import Record, Store, write_store
from segue.errors import InputError

SPLIT = {"guide": 0.5, "judge": 0.25, "validation": 0.125, "test": 0.125}
SIZE = (4, 6)


def make_record(i, size=SIZE, spacing=None):
    draw = np.random.default_rng(i).random
    return Record(
        id=f"image{i}",
        subject=f"subject{i // 2}",
        image=draw((1, *size)).astype(np.float32),
        fractions=draw((2, *size)).astype(np.float32) / 2,
        spacing=spacing,
        covariates={"age": 40.0 + i},
    )


def write(path, records, size=SIZE, **kwargs):
    write_store(path, records, structures=("heart", "lung"), size=size, split=SPLIT, seed=0, **kwargs)
    return Store(path)


@pytest.fixture
def small_chunks(monkeypatch):
    """Five images to a chunk, so that a handful of images makes several."""
    module = importlib.import_module("segue.cohort.write_store")  # `segue.cohort` has a function of this name
    monkeypatch.setattr(module, "_CHUNK_BYTES", 5 * 4 * 24)


@pytest.mark.parametrize("total", [None, 17, 10, 30])
@pytest.mark.usefixtures("small_chunks")
def test_what_is_written_is_read(tmp_path, total):
    records = [make_record(i, spacing=(0.5, 2.0 + i)) for i in range(17)]
    store = write(tmp_path / "store", iter(records), total=total)
    assert len(store) == 17 and store.size == SIZE and store.structures == ("heart", "lung")
    assert store.channels == 1
    for indices in ([3], [16, 2, 2, 0, 9], [], range(17), range(4, 16), range(16, -1, -1)):
        indices = np.array(indices, dtype=np.int64)
        batch = store.read(indices)
        assert batch["image"].shape == (len(indices), 1, *SIZE)
        assert all(tensor.dtype == torch.float32 for tensor in batch.values())
        for row, i in enumerate(indices):
            np.testing.assert_array_equal(batch["image"][row], records[i].image)
            np.testing.assert_array_equal(batch["fractions"][row], records[i].fractions)
            np.testing.assert_allclose(batch["spacing"][row], records[i].spacing)
    assert store.table.columns == ["id", "subject", "split", "age"]
    assert store.table["id"].to_list() == [record.id for record in records]
    assert store.table["age"].to_list() == [record.covariates["age"] for record in records]
    assert [child.name for child in tmp_path.iterdir()] == ["store"]


def test_splits_partition_the_images_by_subject(tmp_path):
    store = write(tmp_path / "store", map(make_record, range(32)))
    parts = [store.indices(name) for name in SPLIT]
    assert [len(part) for part in parts] == [16, 8, 4, 4]
    assert sorted(np.concatenate(parts)) == list(range(32))
    subjects = [set(store.table["subject"].gather(part)) for part in parts]
    assert sum(map(len, subjects)) == len(set.union(*subjects))


@pytest.mark.parametrize(
    ("size", "spacing", "unit", "area"),
    [((4, 6), (0.5, 3.0), "mm2", 1.5), ((2, 3, 4), (0.5, 3.0, 2.0), "mm3", 3.0), ((4, 6), None, "px", 1.0)],
)
def test_unit_and_pixel_area(tmp_path, size, spacing, unit, area):
    store = write(tmp_path / "store", (make_record(i, size, spacing) for i in range(16)), size=size)
    assert store.unit == unit
    assert store.pixel_area().tolist() == [area] * 16
    assert bool(store.read(np.arange(3))["spacing"].isnan().all()) == (spacing is None)


@pytest.mark.usefixtures("small_chunks")
def test_memory_is_flat_in_the_number_of_images(tmp_path):
    images, alive = [], []

    def records():
        for record in map(make_record, range(60)):
            images.append(weakref.ref(record.image))
            alive.append(sum(image() is not None for image in images))
            yield record
            del record

    write(tmp_path / "store", records())
    assert max(alive) <= 12  # two blocks of five, and the first record, which the others are compared with


def broken():
    yield from map(make_record, range(16))
    raise RuntimeError("the source failed")


def test_failure_leaves_nothing_and_keeps_the_old_store(tmp_path):
    path = tmp_path / "store"
    with pytest.raises(RuntimeError):
        write(path, broken())
    assert list(tmp_path.iterdir()) == []
    write(path, map(make_record, range(20)))
    with pytest.raises(RuntimeError):
        write(path, broken())
    assert len(Store(path)) == 20
    assert len(write(path, map(make_record, range(16)))) == 16


def killed(path):
    def records():
        yield from map(make_record, range(16))
        os.kill(os.getpid(), signal.SIGKILL)

    write(path, records())


@pytest.mark.usefixtures("small_chunks")
def test_kill_leaves_nothing_at_the_path_and_can_be_repeated(tmp_path):
    path = tmp_path / "store"
    process = multiprocessing.get_context("fork").Process(target=killed, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not path.exists() and (tmp_path / ".partial-store").exists()
    assert len(write(path, map(make_record, range(16)))) == 16
    assert [child.name for child in tmp_path.iterdir()] == ["store"]


@pytest.mark.usefixtures("small_chunks")
def test_threads_and_forked_processes_read_the_same(tmp_path):
    store = write(tmp_path / "store", map(make_record, range(40)))
    batches = [np.random.default_rng(i).integers(0, 40, 8) for i in range(12)]
    expected = [torch.from_numpy(np.stack([make_record(i).image for i in batch])) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for batch, images in zip(pool.map(store.read, batches), expected, strict=True):
            assert torch.equal(batch["image"], images)
    loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=1, collate_fn=store.read)
    for batch, images in zip(loader, expected, strict=True):
        assert torch.equal(batch["image"], images)


@pytest.mark.parametrize("cache_bytes", [0, 1, 1 << 20])
@pytest.mark.usefixtures("small_chunks")
def test_a_batch_does_not_share_memory_with_the_cache(tmp_path, cache_bytes):
    write(tmp_path / "store", map(make_record, range(16)))
    store = Store(tmp_path / "store", cache_bytes=cache_bytes)
    store.read(np.array([2]))["image"].zero_()
    np.testing.assert_array_equal(store.read(np.array([2]))["image"][0], make_record(2).image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing": (1.0, 1.0)}, "image0: has no pixel spacing while image9 has"),
        ({"id": "image3"}, "image3: two images"),
        ({"image": np.zeros((2, *SIZE), np.float32)}, r"image9: the image is \(2, 4, 6\)"),
        ({"fractions": np.zeros((1, *SIZE), np.float32)}, "image9: the fractions"),
        ({"covariates": {}}, "image9: has covariates"),
    ],
)
def test_records_that_disagree_are_refused(tmp_path, change, message):
    records = [make_record(i) for i in range(16)]
    records[9] = replace(records[9], **change)
    with pytest.raises(InputError, match=message):
        write(tmp_path / "store", records)
    assert list(tmp_path.iterdir()) == []


def test_other_mistakes_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        write(tmp_path / "store", [])
    with pytest.raises(InputError, match="'split' is a column"):
        write(tmp_path / "store", [replace(make_record(i), covariates={"split": 1.0}) for i in range(16)])
    with pytest.raises(InputError, match="no prepared cohort there"):
        Store(tmp_path / "store")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="not a prepared cohort"):
        write(tmp_path / "notes", map(make_record, range(16)))
    assert (tmp_path / "notes" / "mine.txt").exists()


def test_indices_outside_the_store_are_refused(tmp_path):
    store = write(tmp_path / "store", map(make_record, range(16)))
    for index in (-1, 16):
        with pytest.raises(IndexError):
            store.read(np.array([index]))
