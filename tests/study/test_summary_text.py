"""./inv results as a person sees it: a line fits the terminal, says what differs from the defaults, names its run."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_summary import run

from project.work.common import ROOT, UserError
from project.work.reporter.result import Result
from project.work.reporter.table.result_table import ResultTable
from project.work.run_folder import save_settings
from project.work.settings.groups import Settings
from project.work.settings.resolve import experiment_settings
from project.work.study import summary, terminal

DEFAULTS = {("lr" if name == "learning_rate" else name): getattr(Settings(), name) for name in experiment_settings()}
ROBUST = {"recipe": "robust", "label_posterior": True, "method": "label-posterior"}


def write(folder: Path, *runs: dict[str, object]) -> Path:
    """A table of runs, each given by how it differs from the defaults; the first has the best validation accuracy."""
    folder.mkdir(exist_ok=True)
    for at, differing in enumerate(runs):
        given = {"dataset": "sample", "epoch": 20, "uuid": f"{at:012x}"} | differing
        row = DEFAULTS | run(0, 0.9 - 0.1 * at, 0.5) | {"seconds": 10, "lr": 0.1} | given
        ResultTable(folder).write(Result(row, folder))
    return folder


def show(output: Path, capsys: pytest.CaptureFixture, *words: object) -> list[str]:
    summary.main(["--output", str(output), *map(str, words)])
    return capsys.readouterr().out.splitlines()


def test_a_line_names_what_differs_from_the_recipe_and_its_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    noisy = {"noise_type": "symmetric", "noise_rate": 0.4}
    runs = [{}, {"label_smoothing": 0.0}, {"ema": 0.99}, ROBUST, noisy | {"noise_seed": 1}, noisy | {"noise_seed": 2}]
    lines = show(write(tmp_path, *runs), capsys)
    assert [re.sub(r"(  | [0-9a-f]{12}).*", "", line) for line in lines[:6]] == [
        "method", "base", "base label-smoothing=0", "base ema=0.99", "label-posterior recipe=robust",
        "base noise-rate=0.4",
    ]  # fmt: skip
    assert [re.search("[0-9a-f]{12}|2 seeds", line)[0] for line in lines[1:6]] == [
        "000000000000", "000000000001", "000000000002", "000000000003", "2 seeds",
    ]  # fmt: skip
    assert "45.0 +- 7.1" in lines[5]
    assert " ".join(lines[6:8]) == "All: dataset sample, model=narrow epoch=20. Noise, where there is any: symmetric."
    each = show(tmp_path, capsys, "--runs")
    assert [re.search("[0-9a-f]{12}", line)[0][-1] for line in each[5:7]] == ["4", "5"]


def test_a_table_that_lacks_a_setting_is_warned_of_where_it_joins_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write(tmp_path, {"mixup_alpha": 0.2, "mixup": True}, {"mixup_alpha": 8, "mixup": True})
    summary.main(["--output", str(tmp_path)])
    assert capsys.readouterr().err == ""
    table = ResultTable(tmp_path).read().drop(columns=["mixup_alpha", "split_seed"])
    table.to_csv(tmp_path / "results.csv", index=False)
    summary.main(["--output", str(tmp_path)])
    printed = capsys.readouterr()
    assert "2 seeds" in printed.out
    assert printed.err == (
        f"warning: {tmp_path / 'results.csv'} has no column split_seed, mixup_alpha: runs that differ there are in one"
        " line\n"
    )
    summary.main(["--output", str(tmp_path), "--runs"])
    assert capsys.readouterr().err == ""


def test_data_that_was_prepared_anew_is_another_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    digests = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "")
    write(tmp_path, *({"seed": seed, "data_digest": digest} for seed, digest in enumerate(digests)))
    assert [line.split("  ")[0] for line in show(tmp_path, capsys)[1:4]] == [
        "base data=aaaaaaaaaaaa", "base data=bbbbbbbbbbbb", "base data=?",
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_every_line_fits_the_terminal_and_no_two_look_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = {"noise_type": "confusion", "noise_rate": 0.4, "noise_file": "/data/a long name/of a matrix.csv", "ema": 0.9}
    runs = [{"dataset": "\u7d20\u63cf" * 20}, *(long | {"weight_decay": 0.01 + 0.0001 * at} for at in range(3))]
    write(tmp_path, *runs, *({"seed": at, "uuid": f"{at}-" + "u" * 90} for at in (0, 1)))
    lines = show(tmp_path, capsys, "--runs")
    assert max(map(terminal.width, lines)) <= columns
    assert len({line[: columns // 2] for line in lines[1:7]}) >= 5  # the last two differ in their seeds alone
    assert ("Not whole here:" in " ".join(lines)) == (columns < 200) or columns == 200


def test_a_wide_character_takes_two_columns_and_an_accent_none() -> None:
    assert [terminal.width(text) for text in ("abc", "\u732b", "e\u0301", "\uff21")] == [3, 2, 1, 2]
    assert terminal.shortened("\u732b" * 10, 10) == "\u732b\u732b\u2026\u732b\u732b"
    head = [terminal.Column("name", least=4, left=True), terminal.Column("n")]
    text, cut = terminal.table(head, [["\u732b\u72ac", "1"], ["a\x1b[31m\nb", "2"]], 80)
    assert text == "name      n\n\u732b\u72ac      1\na?[31m?b  2"
    assert cut == []


def test_runs_are_chosen_by_uuid_data_set_and_method(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    mixed = {"mixup": True, "sam": True, "method": "mixup-sam"}
    write(tmp_path, {}, {"ema": 0.99, "seed": 1}, ROBUST, mixed | {"dataset": "/data/photos"})

    def uuids(*words: str) -> str:
        return "".join(
            each["uuids"][0][-1] for each in json.loads("\n".join(show(tmp_path, capsys, *words, "--format=json")))
        )

    assert uuids() == "0123"
    assert uuids("--method", "base") == "01"
    assert uuids("--method", "ema=0.990") == "1"
    assert uuids("--method", "recipe=robust,mixup") == "23"
    assert uuids("--method", "mixup-sam") == "3"
    assert uuids("--dataset", "photos") == uuids("--dataset", "/data/photos") == "3"
    assert uuids("--uuid", "000000000001,000000000002") == "12"
    for words, said in {
        ("--method", "mixpu"): "is not a method; did you mean mixup.*the table has base, label-posterior, mixup-sam",
        ("--method", "elr"): "no run fits --method elr; its table has the methods base",
        ("--dataset", "cats"): "its table has the datasets sample, photos",
        ("--uuid", "f"): "no run fits --uuid f",
    }.items():
        with pytest.raises(UserError, match=said):
            uuids(*words)


def test_csv_and_json_have_every_value_whole(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    dataset = "=" + "\u732b" * 50
    write(tmp_path, {"dataset": dataset, "seed": 0}, {"dataset": dataset, "seed": 1, "lr": "0.10"})
    (record,) = json.loads("\n".join(show(tmp_path, capsys, "--format", "json")))
    assert record["uuids"] == ["000000000000", "000000000001"]
    assert record["best_valid_accuracy"] == pytest.approx(0.85)
    assert record["best_valid_accuracy_deviation"] == pytest.approx(0.1 / 2**0.5)
    assert (record["dataset"], record["ema"], record["mixup"], record["epoch"]) == (dataset, 0.0, False, 20)
    (row,) = csv.DictReader(io.StringIO("\n".join(show(tmp_path, capsys, "--format", "csv"))))
    assert (row["uuids"], row["dataset"]) == ("000000000000 000000000001", f"'{dataset}")
    each = list(csv.DictReader(io.StringIO("\n".join(show(tmp_path, capsys, "--format", "csv", "--runs")))))
    assert [(row["uuids"], row["seed"]) for row in each] == [("000000000000", "0"), ("000000000001", "1")]


def test_runs_that_are_not_finished_are_shown_with_what_goes_on_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for uuid, epoch in (("aa", 20), ("bb", 20), ("cc", 30), ("0" * 12, 20)):
        (tmp_path / f"base-{uuid}").mkdir()
        save_settings(tmp_path / f"base-{uuid}", Settings(uuid=uuid, epoch=epoch, ema=0.99, dataset="sample"))
    (tmp_path / "base-aa" / "history.csv").write_text("epoch,valid_accuracy\n1,0.25\n2,0.5\n")
    (tmp_path / "base-bb" / "result.json").write_text('{"uuid": "bb"}')
    os.mkfifo(tmp_path / "base-cc" / "history.csv")
    with pytest.raises(UserError, match=r"no run has finished here yet; .* 4 are not finished: \./inv results --all"):
        show(tmp_path, capsys)
    write(tmp_path, {})
    lines = show(tmp_path, capsys, "--all")
    at = next(number for number, line in enumerate(lines) if line.startswith("not finished"))
    assert re.split(r"\s{2,}", lines[at + 1]) == ["base ema=0.99 seed=0", "sample", "aa", "2 of 20", "50.0"]
    assert re.split(r"\s{2,}", lines[at + 2]) == ["base ema=0.99 seed=0", "sample", "bb", "all, no row"]
    assert "is a named pipe" in " ".join(lines[at:])
    assert f"  ./inv train --resume aa --output {tmp_path}" in lines
    assert not [line for line in lines if "resume 000000000000" in line]
    found = json.loads("\n".join(show(tmp_path, capsys, "--all", "--format", "json", "--uuid", "aa")))
    assert [(each["state"], each["epoch_reached"], each["epoch"]) for each in found] == [("unfinished", 2, 20)]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("best_valid_accuracy", "85.4", r"line 3: best_valid_accuracy is '85.4', outside \[0, 1\]"),
        ("last_test_accuracy", "nan", r"line 3: last_test_accuracy is 'nan', outside \[0, 1\]"),
        ("best_test_accuracy", "", "line 3: best_test_accuracy is missing"),
        ("seconds", "inf", "line 3: seconds is 'inf'"),
        ("noise_rate", "40", r"line 3: noise_rate is '40', outside \[0, 1\)"),
    ],
)
def test_no_mean_is_taken_of_what_cannot_be(tmp_path: Path, name: str, value: str, said: str) -> None:
    write(tmp_path, {"seed": 0}, {"seed": 1, name: value})
    with pytest.raises(UserError, match=said):
        summary.main(["--output", str(tmp_path)])


@pytest.mark.slow
def test_an_ascii_terminal_and_a_reader_that_leaves_are_no_errors(tmp_path: Path) -> None:
    write(tmp_path, *({"dataset": f"\u732b{at}", "uuid": f"{at:04}" + "u" * 50} for at in range(9)))
    command = [sys.executable, str(ROOT / "project/work/study/summary.py"), f"--output={tmp_path}"]
    nothing = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    said = subprocess.run(
        command, capture_output=True, text=True, env=nothing | {"PYTHONIOENCODING": "ascii"}, timeout=120
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert "?0 " in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 80
    reader, writer = os.pipe()
    os.close(reader)
    left = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert (left.returncode, left.stderr) == (0, "")
