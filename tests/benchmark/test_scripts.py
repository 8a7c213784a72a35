"""Every benchmark runs, quickly, and lists its contenders."""

import importlib
from pathlib import Path

import everything
import pytest
import table

pytestmark = pytest.mark.slow

NAMED = {
    "preparation": {"ours", "predecessor", "ours on raw", "plain Python on raw", "ours, 2 processes"},
    "sampling": {"ours", "pandas", "polars", "reservoir"},
    "rasters": {"ours, upstream", "cv2.line a segment on 256 (predecessor)", "skia on 32"},
    "loaders": {"ours", "ours, affine", "timm fast loader, no worker", "webdataset, in order"},
    "train_step": {"ours", "predecessor as it was", "limit: one resident batch", "mixup", "soft targets"},
    "method_cost": {"base", "margins off", "ELR", "co-teaching", "SAM", "mixup", "affine"},
    "large_data": {"mapped", "resident"},
    "loader_study": {"packed", "raw files", "LMDB, processes", "raw files, Pillow, one thread", "DALI"},
    "photo_preparation": {"packed", "packed, one core", "arrays", "PIL decode and bicubic, one process"},
    "startup": {"./inv --list", "main.py --help", "main.py, a setting refused"},
}


@pytest.mark.parametrize("name", everything.SCRIPTS)
def test_a_benchmark_runs_and_names_its_contenders(name: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    importlib.import_module(name).main(["--quick", f"--csv={rows}", *(["--model=narrow"] * (name == "train_step"))])
    found = table.read(rows)
    assert NAMED[name] <= {row.name for row in found}
    assert all(row.per_cpu > 0 for row in found if not row.note.startswith(("not installed: ", "skipped: ")))


def test_all_of_them_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "SCRIPTS", ("rasters",))
    everything.main(["--quick", f"--output={tmp_path}"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "rasters.csv",
        "rasters.txt",
        "benchmark.csv",
        "benchmark.png",
    }
