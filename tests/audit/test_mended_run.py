"""Runs on mended labels, as a person starts them: what is printed and kept, what is refused, how they go on."""

from pathlib import Path

import numpy as np
import pandas as pd
import processes
import pytest

from project.work.dataset import storage

pytestmark = pytest.mark.slow


@pytest.fixture
def corrections(prepared: Path, tmp_path: Path) -> Path:
    """Five rows relabelled, two dropped, one kept."""
    part = storage.read(prepared).train
    rows = np.arange(8)
    new = [*((part.labels[:5] + 1) % 4), "drop", "drop", part.labels[7]]
    table = pd.DataFrame({"row": rows, "key_id": part.keys["key_id"][:8], "given_label": part.labels[:8]})
    table.assign(new_label=new).to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def command(prepared: Path, output: Path, *words: object) -> list[object]:
    usual = ("--dataset", prepared, "--output", output, "--epoch", 1, "--device", "cpu", "--no-amp", "--uuid", "mended")
    return [*usual, *words]


def train(log: Path, *words: object) -> tuple[int, str]:
    log.unlink(missing_ok=True)
    code = processes.finish(processes.fork_main(log, *words))
    return code, log.read_text()


def test_a_run_keeps_and_counts_what_was_mended(prepared: Path, corrections: Path, tmp_path: Path) -> None:
    words = command(prepared, tmp_path / "out", "--corrections", corrections)
    code, said = train(tmp_path / "log", *words)
    assert code == 0, said
    assert f"{corrections}: 5 relabelled, 2 dropped, 1 kept as they were" in said
    folder = tmp_path / "out" / "base-mended"
    kept = pd.read_csv(folder / "corrections.csv", dtype=str)
    assert kept["new_label"].tolist() == pd.read_csv(corrections, dtype=str)["new_label"].tolist()
    row = pd.read_csv(tmp_path / "out" / "results.csv").iloc[0]
    assert (row["corrections"], row["clean"]) == (str(corrections), "none")
    corrections.write_text(corrections.read_text().replace("drop", "0", 1))
    code, said = train(tmp_path / "log", *words[:-2], "--corrections", corrections, "--epoch", 1)
    assert code != 0
    assert "learnt from other data" in said


def test_a_run_cleaned_by_weight_keeps_the_weights(prepared: Path, tmp_path: Path) -> None:
    part = storage.read(prepared).train
    columns = {"row": range(120), "key_id": part.keys["key_id"], "given_label": part.labels, "trust": 0.5}
    pd.DataFrame(columns | {"suggested_label": 0, "flagged": 0}).to_csv(tmp_path / "audit.csv", index=False)
    words = ("--clean", "reweight", "--audit-file", tmp_path)
    code, said = train(tmp_path / "log", *command(prepared, tmp_path / "out", *words))
    assert code == 0, said
    assert "--clean reweight: 108 training rows weighted" in said
    weights = pd.read_csv(tmp_path / "out" / "base-mended" / "weights.csv.gz")
    assert weights["weight"].tolist() == [1.0] * 108


def test_processes_wait_for_the_audit_that_one_of_them_makes(prepared: Path, tmp_path: Path) -> None:
    words = ("--clean", "drop", "--folds", 2, "--batch-size", 32, "--processes", 2)
    code, said = train(tmp_path / "log", *command(prepared, tmp_path / "out", *words))
    assert code == 0, said
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == 1
    assert len(list((tmp_path / "out").glob("audit-*/audit.html"))) == 1


def test_cleaning_without_an_audit_is_refused_in_a_line(prepared: Path, tmp_path: Path) -> None:
    code, said = train(
        tmp_path / "log", *command(prepared, tmp_path / "out", "--clean", "drop", "--audit-file", "none")
    )
    assert code == 2
    assert "error: none is missing: give the path of the audit.csv of ./inv audit" in said
    assert not (tmp_path / "out" / "base-mended").exists()
