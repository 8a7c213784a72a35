"""results.csv loses no row and doubles none, however many runs finish at once and whatever columns they bring."""

import csv
from pathlib import Path

import processes
import pytest

from project.work.common import UserError
from project.work.reporter.result import SHEET_COLUMNS, Result
from project.work.reporter.table.result_table import ResultTable

PREDECESSORS_SHEET = [
    "uuid", "batch_size", "lr", "mixup", "manifold_mixup", "mixup_alpha", "epoch", "seed", "momentum", "weight_decay",
    "distillation", "soft_loss_weight", "softmax_temperature", "best_train_accuracy", "best_valid_accuracy",
    "best_test_accuracy",
]  # fmt: skip


def result(uuid: str, **more: object) -> Result:
    return Result(dict.fromkeys(SHEET_COLUMNS, 1) | {"uuid": uuid} | more, Path())


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def _write_five(folder: Path, writer: int) -> None:
    for number in range(5):
        ResultTable(folder).write(result(f"{writer}-{number}", note=f"by {writer}"))


def test_eight_processes_with_five_rows_each_make_forty_rows(tmp_path: Path) -> None:
    writers = [processes.fork(_write_five, tmp_path, writer) for writer in range(8)]
    assert [processes.finish(writer) for writer in writers] == [0] * 8
    expected = {(f"{writer}-{number}", f"by {writer}") for writer in range(8) for number in range(5)}
    assert len(rows(tmp_path)) == 40
    assert {(row["uuid"], row["note"]) for row in rows(tmp_path)} == expected


def test_a_killed_writer_leaves_a_whole_table(tmp_path: Path) -> None:
    ResultTable(tmp_path).write(result("first"))
    for _ in range(5):
        writer = processes.fork(_write_five, tmp_path, 1)
        writer.join(0.02)
        writer.kill()
        writer.join()
        assert rows(tmp_path)[0]["uuid"] == "first"
    _write_five(tmp_path, 2)
    assert {f"2-{number}" for number in range(5)} < {row["uuid"] for row in rows(tmp_path)}


def test_the_header_begins_with_the_predecessors_sheet(tmp_path: Path) -> None:
    ResultTable(tmp_path).write(result("a", dataset="quickdraw"))
    header = (tmp_path / "results.csv").read_text().splitlines()[0].split(",")
    assert header == [*PREDECESSORS_SHEET, "dataset"]


def test_a_table_with_former_names_of_settings_goes_on_under_those_of_today(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    old = "uuid,method,loss_mixture,loss_mixture_start,note\na,loss-mixture-mixup,True,0.25,loss_mixture\n"
    (tmp_path / "results.csv").write_text(old)
    new = {"uuid": "b", "method": "label-posterior", "label_posterior": True, "label_posterior_start": 0.5}
    ResultTable(tmp_path).write(Result(new, tmp_path))
    table = ResultTable(tmp_path).read()
    assert table.columns.tolist() == ["uuid", "method", "label_posterior", "label_posterior_start", "note"]
    assert table.to_numpy().tolist() == [
        ["a", "label-posterior-mixup", "True", "0.25", "loss_mixture"],
        ["b", "label-posterior", "True", "0.5", ""],
    ]
    assert capsys.readouterr().err == ""


def test_a_run_that_reports_again_replaces_its_row(tmp_path: Path) -> None:
    table = ResultTable(tmp_path)
    for uuid, accuracy in (("a", 0.1), ("b", 0.2), ("a", 0.3)):
        table.write(result(uuid, accuracy=accuracy))
    assert [(row["uuid"], row["accuracy"]) for row in rows(tmp_path)] == [("b", "0.2"), ("a", "0.3")]


def test_a_new_column_keeps_the_old_rows_and_a_missing_one_stays_empty(tmp_path: Path) -> None:
    table = ResultTable(tmp_path)
    table.write(result("a", dataset="old"))
    table.write(result("b", dataset="new", noise=0.4))
    table.write(result("c"))
    assert [(row["uuid"], row["dataset"], row["noise"]) for row in rows(tmp_path)] == [
        ("a", "old", ""),
        ("b", "new", "0.4"),
        ("c", "", ""),
    ]


def test_text_survives_commas_quotes_line_ends_and_what_looks_like_numbers(tmp_path: Path) -> None:
    table = ResultTable(tmp_path)
    note = 'a, "b"\nc'
    table.write(result("007", note=note, empty=None, kind="NA", number=1e-4))
    table.write(result("1e5"))
    first, second = table.read().to_dict("records")
    assert (first["uuid"], first["note"], first["empty"], first["kind"]) == ("007", note, "", "NA")
    assert (first["number"], second["uuid"]) == ("0.0001", "1e5")


@pytest.mark.parametrize("data", [b"", b"name,value\na,1\n", b'uuid\n"', b"\xff\xfe\x00\x01"])
def test_a_file_that_is_no_table_of_results_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"results\.csv.*move it away"):
        ResultTable(tmp_path).write(result("a"))
    assert path.read_bytes() == data
