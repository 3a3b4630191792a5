"""A cohort from the command line: what lands, what is quarantined, what a kill leaves, what is refused."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
import zarr
from PIL import Image
from small_study import VARIABLES, trained, trained_chest

import segue
from segue.cli import main
from segue.cohort import Store
from segue.generation import output

pytestmark = pytest.mark.xdist_group("small_study")

PLAN = """
interventions:
  - {lumen@mid: +20%}
  - {}
  - {calcified_plaque@distal: q0.9, lumen@proximal: -1sd}
shard: 4
"""


def write(folder: Path, text: str, name: str = "plan.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def cohort() -> Path:
    return trained()[1] / "prepare" / "cohort.zarr"


def command(run: Path, cohort: Path, plan: Path, out: Path, *options: str) -> list[str]:
    return ["generate", str(run), "--cohort", str(cohort), "--do", str(plan), "--out", str(out), *options]


FEW = ("--split", "test")  # 18 images of the cohort's 60


def made(out: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """The table, and the checksum of every image file."""
    files = [*(out / "counterfactuals.zarr").rglob("*"), *(out / "images").glob("*")]
    sums = {str(f.relative_to(out)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}
    return pl.read_parquet(out / "table.parquet"), sums


def refused(capsys, arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("segue: ")]
    assert len(lines) == 1
    return lines[0]


# ---- what lands --------------------------------------------------------------------------------------------------


def test_a_store_is_answered_as_the_engine_would(tmp_path):
    run = trained()[1]
    out = tmp_path / "out"
    assert main(command(run, cohort(), write(tmp_path, PLAN), out, "--split", "test", "--method", "no_cft")) == 0
    store, model = Store(cohort()), segue.load(run, method="no_cft")
    indices = store.indices("test")
    table, array = pl.read_parquet(out / "table.parquet"), zarr.open_group(out / "counterfactuals.zarr", mode="r")
    assert array["images"].shape == (len(indices), 3, 1, 16, 48) and array.attrs["unit"] == "mm2"
    assert table["id"].to_list() == [id for id in store.table["id"][indices.tolist()] for _ in range(3)]
    assert table["image"].to_list() == [i for i in range(len(indices)) for _ in range(3)]
    dos = [{"lumen@mid": "+20%"}, {}, {"calcified_plaque@distal": "q0.9", "lumen@proximal": "-1sd"}]
    for row in table.iter_rows(named=True):
        x = store.read(indices[row["image"] : row["image"] + 1])["image"]
        answer = model.counterfactual(x, dos[row["request"]])
        written = np.asarray(array["images"][row["image"], row["request"]])
        np.testing.assert_allclose(written, answer.image[0].numpy(), atol=0.05)  # HU, of a range of 1400
        assert row["checksum"] == hashlib.sha256(written.tobytes()).hexdigest()
        for name in VARIABLES:
            for kind in ("factual", "requested", "achieved"):
                expected = float(getattr(answer, kind)[name][0])
                assert row[f"{name}.{kind}"] == pytest.approx(expected, rel=1e-3, abs=1e-3)
        if row["request"] == 1:
            np.testing.assert_array_equal(written, x[0].numpy())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["images"] == len(indices) and summary["counterfactuals"] == 3 * len(indices)
    assert summary["quarantined"] == 0 and summary["shards"] == -(-len(indices) // 4)
    assert {p.name for p in out.iterdir()} == {
        *("counterfactuals.zarr", "identity.json", "plan.yaml"), *("quarantine.csv", "summary.json", "table.parquet")
    }  # fmt: skip


def test_a_folder_of_png_files(tmp_path):
    _, run, folder = trained_chest()
    plan = write(tmp_path, "each: {variables: [heart@whole], values: [+1sd, 0%]}\nshard: 5")
    assert main(command(run, folder, plan, tmp_path / "out", "--format", "png")) == 0
    table, files = made(tmp_path / "out")
    sources = sorted((folder / "images").iterdir())
    assert len(files) == len(table) == 2 * len(sources)
    model = segue.load(run)
    for path in sources[::7]:
        expected = model.counterfactual(model.read(path)[0], {"heart@whole": "+1sd"})
        written = np.asarray(Image.open(tmp_path / "out" / "images" / f"{path.stem}_0000.png"))
        assert written.dtype == np.uint8
        changed = np.asarray(Image.open(path)) + expected.on_file(model.origin(path))
        assert np.abs(written - changed.clip(0, 255)).max() <= 0.51
        row = table.filter((pl.col("id") == path.stem) & (pl.col("request") == 0)).row(0, named=True)
        assert row["checksum"] == hashlib.sha256(written.tobytes()).hexdigest()
        assert row["heart@whole.achieved"] == pytest.approx(float(expected.achieved["heart@whole"][0]), rel=1e-3)


def test_a_folder_of_nifti_files(tmp_path):
    main(["phantom", str(tmp_path / "data"), "--images", "3", "--seed", "3", "--size", "[32,96]"])
    plan = write(tmp_path, "interventions: [{lumen@mid: +20%}]")
    out = tmp_path / "out"
    assert main(command(trained()[1], tmp_path / "data", plan, out, "--format", "nifti")) == 0
    model = segue.load(trained()[1])
    for path in sorted((tmp_path / "data" / "images").iterdir()):
        image, spacing = model.read(path)
        expected = model.counterfactual(image, {"lumen@mid": "+20%"}, spacing=spacing)
        written = nibabel.load(out / "images" / path.name.replace(".nii.gz", "_0000.nii.gz"))
        source = nibabel.load(path)
        changed = source.get_fdata() + expected.on_file(model.origin(path))
        np.testing.assert_allclose(np.asarray(written.dataobj), changed, atol=0.05)
        np.testing.assert_allclose(written.affine, source.affine)


def test_a_table_asks_by_image_and_a_missing_cell_asks_nothing(tmp_path):
    ids = Store(cohort()).table["id"].to_list()
    write(tmp_path, f"id,lumen@mid,lumen@distal\n{ids[9]},+10%,\n{ids[2]},,4\n{ids[9]},3,3\n", "asked.csv")
    out = tmp_path / "out"
    assert main(command(trained()[1], cohort(), write(tmp_path, "table: asked.csv"), out)) == 0
    table = pl.read_parquet(out / "table.parquet")
    assert table.select("id", "request", "do").rows() == [
        (ids[2], 0, "lumen@distal=4"), (ids[9], 0, "lumen@mid=+10%"), (ids[9], 1, "lumen@mid=3, lumen@distal=3")
    ]  # fmt: skip
    images = zarr.open_group(out / "counterfactuals.zarr", mode="r")["images"][:]
    filled = np.isfinite(images).all(axis=(2, 3, 4))
    assert np.argwhere(filled).tolist() == [[2, 0], [9, 0], [9, 1]]
    assert np.isnan(images[~filled]).all()


# ---- quarantine --------------------------------------------------------------------------------------------------


def test_a_bad_image_of_a_store_is_quarantined_alone(tmp_path, capsys):
    bad = tmp_path / "cohort.zarr"
    shutil.copytree(cohort(), bad)
    few = Store(bad).indices("test")
    images = zarr.open_group(bad, mode="r+")["images"]
    images[few[6], 0, 3, 3] = np.nan
    plan, out = write(tmp_path, PLAN), tmp_path / "out"
    assert main(command(trained()[1], bad, plan, out, *FEW)) == 0
    assert "1 images were quarantined" in capsys.readouterr().err
    ids = Store(bad).table["id"].to_list()
    reason = "images hold values that are not finite: replace them"
    assert pl.read_csv(out / "quarantine.csv").rows() == [(ids[few[6]], reason)]
    table = pl.read_parquet(out / "table.parquet")
    assert sorted(set(table["image"])) == [i for i in range(len(few)) if i != 6]
    written = zarr.open_group(out / "counterfactuals.zarr", mode="r")["images"][:]
    assert np.isnan(written[6]).all() and np.isfinite(np.delete(written, 6, axis=0)).all()


def test_damaged_files_are_quarantined_with_their_reasons(tmp_path):
    _, run, folder = trained_chest()
    shutil.copytree(folder / "images", tmp_path / "data")
    (tmp_path / "data" / "p03_a.png").write_bytes((tmp_path / "data" / "p03_a.png").read_bytes()[:200])
    (tmp_path / "data" / "p05_b.png").write_bytes(b"")
    plan = write(tmp_path, "each: {variables: [heart@whole], values: [+1sd]}")
    assert main(command(run, tmp_path / "data", plan, tmp_path / "out", "--format", "png")) == 0
    quarantine = pl.read_csv(tmp_path / "out" / "quarantine.csv")
    assert quarantine["id"].to_list() == ["p03_a", "p05_b"]
    assert "cannot be decoded" in quarantine["reason"][0] and "empty" in quarantine["reason"][1]
    table, files = made(tmp_path / "out")
    assert len(table) == len(files) == 22


def test_an_image_that_breaks_the_model_is_quarantined_alone(tmp_path, monkeypatch):
    from segue.generation import worker

    plain, few = worker.answer, Store(cohort()).indices("test")
    broken = Store(cohort()).table["id"][int(few[5])]

    def fails(model, cases, requests, **causal):
        if any(case.id == broken for case in cases):
            raise RuntimeError("the network gave up\non this one")
        return plain(model, cases, requests, **causal)

    monkeypatch.setattr(worker, "answer", fails)
    assert main(command(trained()[1], cohort(), write(tmp_path, PLAN), tmp_path / "out", *FEW)) == 0
    quarantine = pl.read_csv(tmp_path / "out" / "quarantine.csv").rows()
    assert quarantine == [(broken, "RuntimeError: the network gave up on this one")]
    assert len(pl.read_parquet(tmp_path / "out" / "table.parquet")) == 3 * (len(few) - 1)


def test_nothing_but_bad_images_is_an_error(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"x")
    plan = write(tmp_path, "each: {variables: [heart@whole], values: [+1sd]}")
    arguments = command(trained_chest()[1], tmp_path / "data", plan, tmp_path / "out")
    assert "no image could be answered" in refused(capsys, arguments)
    assert "a,data/a.png" in (tmp_path / "out" / "quarantine.csv").read_text().replace(f"{tmp_path}/", "")


# ---- kills and resuming ------------------------------------------------------------------------------------------


def test_killed_in_the_middle_nothing_is_lost_nor_done_twice(tmp_path):
    run = trained()[1]
    plan = write(tmp_path, "each: {values: [+1sd, -1sd]}\nshard: 2")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(command(run, cohort(), plan, whole, *FEW)) == 0
    with subprocess.Popen(
        [sys.executable, "-m", "segue", *command(run, cohort(), plan, cut, *FEW)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while len(list(cut.glob("parts/[0-9]*.parquet"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (cut / "summary.json").exists()
    done = {path.stem: path.stat().st_mtime_ns for path in cut.glob("parts/[0-9]*.parquet")}
    assert 2 <= len(done) < 9
    chunks = {number: chunk_times(cut, int(number)) for number in done}
    assert main(command(run, cohort(), plan, cut, *FEW)) == 0
    (table, sums), (expected, expected_sums) = made(cut), made(whole)
    assert table.equals(expected) and sums == expected_sums
    assert not table.select("image", "request").is_duplicated().any() and len(table) == 18 * 18
    assert {number: chunk_times(cut, int(number)) for number in done} == chunks
    assert json.loads((cut / "summary.json").read_text())["shards_done_before"] == len(done)


def chunk_times(out: Path, shard: int) -> list[int]:
    files = (out / "counterfactuals.zarr" / "images" / "c" / str(shard)).rglob("*")
    return [path.stat().st_mtime_ns for path in files if path.is_file()]


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path, capsys, monkeypatch):
    arguments = command(trained()[1], cohort(), write(tmp_path, PLAN), tmp_path / "out", *FEW)
    plain = output.ZarrOutput.write

    def full(self, shard, *more):
        if shard == 4:
            raise OSError(28, "No space left on device")
        plain(self, shard, *more)

    monkeypatch.setattr(output.ZarrOutput, "write", full)
    assert "No space left on device" in refused(capsys, arguments)
    monkeypatch.undo()
    assert main(arguments) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["shards_done_before"] == 4


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    arguments = command(trained()[1], cohort(), write(tmp_path, PLAN), tmp_path / "file" / "out")
    assert "name another folder" in refused(capsys, arguments)


def test_a_finished_folder_is_left_alone(tmp_path):
    arguments = command(trained()[1], cohort(), write(tmp_path, PLAN), tmp_path / "out", *FEW)
    assert main(arguments) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    (tmp_path / "out" / "parts").mkdir()  # as a kill between the summary and the removal of the parts leaves it
    assert main(arguments) == 0
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert {path: time for path, time in after.items() if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }
    assert before.keys() == after.keys()


def test_a_folder_begun_otherwise_is_refused(tmp_path, capsys):
    run, out = trained()[1], tmp_path / "out"
    plan = write(tmp_path, PLAN)
    assert main(command(run, cohort(), plan, out, *FEW)) == 0
    other = write(tmp_path, PLAN.replace("+20%", "+30%"), "other.yaml")
    assert "another plan" in refused(capsys, command(run, cohort(), other, out, *FEW))
    assert "another run" in refused(capsys, command(run, cohort(), plan, out, *FEW, "--method", "no_cft"))
    assert "another cohort" in refused(capsys, command(run, cohort(), plan, out))
    assert "another format" in refused(capsys, command(run, cohort(), plan, out, *FEW, "--format", "nifti"))
    assert "holds other files" in refused(capsys, command(run, cohort(), plan, tmp_path))


def test_what_is_wrong_leaves_nothing_behind(tmp_path, capsys):
    run, out = trained()[1], tmp_path / "out"
    plan = write(tmp_path, PLAN)
    wrong = write(tmp_path, "each: {variables: [lumen@middle], values: [1]}", "wrong.yaml")
    write(tmp_path, "id,lumen@mid\nphantom_9,1\n", "asked.csv")
    strange = write(tmp_path, "table: asked.csv", "strange.yaml")
    before = sorted(tmp_path.iterdir())
    assert "did you mean lumen@mid" in refused(capsys, command(run, cohort(), wrong, out))
    assert "'phantom_9' is no image" in refused(capsys, command(run, cohort(), strange, out))
    assert "no run here" in refused(capsys, command(tmp_path, cohort(), plan, out))
    assert "no such cohort" in refused(capsys, command(run, tmp_path / "none", plan, out))
    assert "--workers 0" in refused(capsys, command(run, cohort(), plan, out, "--workers", "0"))
    assert "format" in refused(capsys, command(run, cohort(), plan, out, "--format", "tiff"))
    assert "--split none" in refused(capsys, command(run, cohort(), plan, out, "--split", "none"))
    other = trained_chest()[1] / "prepare" / "cohort.zarr"
    assert "size is [32, 32], the run's is [16, 48]" in refused(capsys, command(run, other, plan, out))
    assert sorted(tmp_path.iterdir()) == before
