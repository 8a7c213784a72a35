"""results.csv is read as its runs wrote it whatever a spreadsheet made of it, or refused by line."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from test_result_table import result

from project.work.common import UserError
from project.work.reporter.result import read_result
from project.work.reporter.table.result_table import ResultTable
from project.work.study.summary import summarise

HEADER = ["uuid", "method", "mixup", "mixup_alpha", "batch_size", "seed", "dataset", "best_valid_accuracy",
          "best_test_accuracy", "last_test_accuracy", "seconds"]  # fmt: skip
ROWS = [
    ["1a2b3c4d5e6f", "mixup", "True", "0.2", "2048", "0", "d", "0.5", "0.271", "0.25", "10.5"],
    ["2a2b3c4d5e6f", "mixup", "True", "0.8", "2048", "0", "d", "0.9", "0.895", "0.88", "1234.5"],
]
LINES = [["0.8", 1, "90.0", "89.5"], ["0.2", 1, "50.0", "27.1"]]  # alpha, seeds, valid, test


def save(folder: Path, text: str, encoding: str = "utf-8") -> ResultTable:
    (folder / "results.csv").write_bytes(text.encode(encoding))
    return ResultTable(folder)


def as_csv(rows: list[list[str]], separator: str = ",") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\n").writerows(rows)
    return file.getvalue()


def cell(folder: Path, name: str, text: str, beside: str = "0.5") -> str:
    """What is read of a cell in a table whose accuracy is written so."""
    rows = [["uuid", name, "best_test_accuracy"], ["a", text, beside]]
    return save(folder, as_csv(rows)).read()[name].iloc[0]


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8-sig"), (";", "utf-16"), ("\t", "utf-8")])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("thousands", ["", " ", "\u202f", "'"])
def test_runs_of_different_alpha_stay_apart_however_the_table_was_saved(
    tmp_path: Path, separator: str, encoding: str, decimal: str, thousands: str
) -> None:
    saved = [[each.upper() if each == "True" else each.replace(".", decimal) for each in row] for row in ROWS]
    saved = [[f"{each[0]}{thousands}{each[1:]}" if len(each) >= 4 and each[0] in "12" and each[1:4].isdigit() else each
              for each in row] for row in saved]  # fmt: skip
    saved[1][7] = f"90{decimal}0 %"
    order = [3, 0, 7, 2, 1, 4, 10, 9, 8, 6, 5]
    lines = [[row[at] for at in order] for row in [[each.upper() for each in HEADER], saved[1], HEADER, saved[0]]]
    lines[2] = list(lines[0])  # a second header
    table = save(tmp_path, "\n" + as_csv([*lines[:2], [""] * 11, *lines[2:], lines[3]], separator), encoding).read()
    assert table.sort_values("uuid")[HEADER].to_numpy().tolist() == ROWS
    assert summarise(table)[["mixup_alpha", "seeds", "valid", "test"]].to_numpy().tolist() == LINES


def test_switches_are_known_in_other_languages(tmp_path: Path) -> None:
    assert [cell(tmp_path, "mixup", text) for text in ("WAHR", "Faux", "FALSO", "VERDADERO", "1", "")] == [
        "True", "False", "False", "True", "True", "",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"results.csv line 2: mixup is '2', but True or False is needed"):
        cell(tmp_path, "mixup", "2")


@pytest.mark.parametrize(
    ("name", "text", "beside", "read"),
    [
        ("seconds", "1.234,5", "0,5", "1234.5"),
        ("seconds", "1,234.5", "0.5", "1234.5"),
        ("seconds", "1,234,567", "0.5", "1234567.0"),
        ("seconds", "1,234", "0,5", "1.234"),
        ("seconds", "1.234", "0.5", "1.234"),
        ("seconds", "1,5E+02", "0.5", "150.0"),
        ("batch_size", "2,048", "0.5", "2048"),
        ("batch_size", "50.0", "0,5", "50"),
        ("weight_decay", "1.00E-04", "0.5", "1.00E-04"),
        ("noise_rate", "40%", "0.5", "0.4"),
    ],
)
def test_numbers_are_read_where_they_can_be_but_one(
    tmp_path: Path, name: str, text: str, beside: str, read: str
) -> None:
    assert cell(tmp_path, name, text, beside) == read


@pytest.mark.parametrize(
    ("name", "text", "beside"),
    [
        ("seconds", "1,234", "0.5"),  # 1234 or 1.234
        ("seconds", "1.234", "0,5"),
        ("batch_size", "12,000", "0.5"),
        ("batch_size", "2,5", "0.5"),
        ("seconds", "12. Mai", "0.5"),
        ("seconds", "12.03.2026", "0.5"),
        ("seconds", "#REF!", "0.5"),
        ("seconds", "\u0661", "0.5"),
        ("seconds", "1_000", "0.5"),
        ("seconds", "0x10", "0.5"),
    ],
)
def test_what_is_no_number_or_may_be_two_is_refused_by_line(tmp_path: Path, name: str, text: str, beside: str) -> None:
    with pytest.raises(UserError, match=rf"results\.csv line 2: {name} is .*move it away"):
        cell(tmp_path, name, text, beside)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("uuid,seed\na,1\nb\n", "line 3: 1 fields, but the header has 2"),
        ("uuid,seed\na,1\n,2\n", "line 3: the uuid '' is missing"),
        ("uuid,seed\na,1\n1.23E+11,2\n", r"line 3: the uuid '1.23E\+11' is no uuid"),
        ("uuid,seed\na,1\na,2\n", "line 3: the run a is in line 2 too, with another seed"),
        ("uuid,seed\na,1\nuuid,epoch\nb,2\n", "line 3: another header"),
        ("uuid,seed\na,\x001\n", "line 2: holds a NUL"),
        ("uuid,seed,SEED\na,1,2\n", "two columns are called 'seed'"),
        ("uuid,data_digest\na,1.2E+12\n", "line 2: data_digest '1.2E.12' was text"),
    ],
)
def test_what_is_no_table_of_runs_is_refused_by_line(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        save(tmp_path, lines).read()


@pytest.mark.parametrize(("uuid", "became"), [("123456789012", "1.23457E+11"), ("007", "7"), ("1-2", "02. Jan")])
def test_a_uuid_that_became_a_number_or_a_date_is_found_by_its_run_folder(
    tmp_path: Path, uuid: str, became: str
) -> None:
    for name, finished in ((uuid, "10:00"), ("other", "11:00")):
        (tmp_path / f"base-{name}").mkdir()
        row = {"uuid": name, "seed": 0, "method": "base", "finished": finished, "data_digest": "12e456789012"}
        (tmp_path / f"base-{name}" / "result.json").write_text(json.dumps(row))
    header = "uuid,seed,method,finished,data_digest"
    table = save(tmp_path, f"{header}\n{became},0,base,10:00,1.2E+13\nother,0,base,11:00,12e456789012\n").read()
    assert table[["uuid", "data_digest"]].to_numpy().tolist() == [[uuid, "12e456789012"], ["other", "12e456789012"]]


def test_a_run_that_finishes_meanwhile_keeps_its_row_and_the_persons_file(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    theirs = "uuid;mixup;lr;note\na;TRUE;0,5;mine\nb;FALSE;0,25;\n"
    table = save(tmp_path, theirs)
    table.write(result("b", lr=0.25))
    table.write(result("c"))
    assert (tmp_path / "results-as-saved.csv").read_text() == theirs
    assert capsys.readouterr().err.count("kept as it was in results-as-saved.csv") == 1
    rows = table.read()
    assert rows[["uuid", "lr", "note"]].to_numpy().tolist() == [["a", "0.5", "mine"], ["b", "0.25", ""], ["c", "1", ""]]
    table.write(result("a", lr=0.75))  # of which a person had noted something
    assert table.read()["note"].tolist() == ["", "", "mine"]


def test_a_table_with_a_line_that_cannot_be_read_takes_a_row_all_the_same(tmp_path: Path) -> None:
    header = ",".join(result("a").row)
    damaged = f"{header}\n{'x,' * header.count(',')}x\n"
    table = save(tmp_path, damaged)
    table.write(result("1a2b3c"))
    assert (tmp_path / "results.csv").read_text().startswith(damaged + "1a2b3c,")


def test_no_text_is_worked_out_by_a_spreadsheet_as_a_formula(tmp_path: Path) -> None:
    formulas = ["=1+1", "+cmd", "-x", "@SUM(A1)", "'=1", "\tx", "-0.5", "plain"]
    table = ResultTable(tmp_path)
    for at, formula in enumerate(formulas):
        table.write(result(f"run{at}", dataset=formula))
    with (tmp_path / "results.csv").open(newline="") as file:
        cells = [row["dataset"] for row in csv.DictReader(file)]
    assert cells == ["'=1+1", "'+cmd", "'-x", "'@SUM(A1)", "''=1", "'\tx", "-0.5", "plain"]
    assert table.read()["dataset"].tolist() == formulas


@pytest.mark.parametrize("text", ["[" * 100_000, '{"uuid": "\0"}', "[]", '{"uuid": {}}', '{"uuid": "a", "x": []}', "x"])
def test_a_result_file_that_holds_no_row_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match=r"result\.json") as caught:
        read_result(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_result_file_or_a_table_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    for name in ("result.json", "results.csv"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="is a named pipe"):
        read_result(tmp_path)
    with pytest.raises(UserError, match="is a named pipe"):
        ResultTable(tmp_path).read()
    with pytest.raises(UserError, match="is a named pipe"):
        ResultTable(tmp_path).write(result("a"))
