"""The commands a person types, run as invoke runs them: they list at once, show every setting and pass faults on."""

import dataclasses
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import processes
import pytest

from project.work.common import ROOT, flag
from project.work.settings.groups import NOT_READ, Settings

pytestmark = pytest.mark.slow

HEAVY = {"torch", "torchvision", "numpy", "pandas", "sklearn", "matplotlib", "cv2"}


def inv(*words: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [sys.executable, *options, "-m", "invoke", "--search-root", str(ROOT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")


def test_the_list_names_the_commands_loads_nothing_heavy_and_takes_less_than_a_second() -> None:
    seconds = []
    for _ in range(3):  # the fastest of three, and of the processor: the machine may be busy
        started = resource.getrusage(resource.RUSAGE_CHILDREN)
        listed = inv("--list", options=("-X", "importtime"))
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime)
    loaded = {line.rsplit("|")[-1].strip() for line in listed.stderr.splitlines()}
    assert listed.returncode == 0
    assert {"prepare", "train", "oof", "results", "quickstart", "test"} <= set(listed.stdout.split())
    assert "invoke" in loaded
    assert not loaded & HEAVY
    assert min(seconds) < 1


def ours(*words: str, columns: int = 80) -> str:
    """What ./inv prints."""
    command = [sys.executable, str(ROOT / "project" / "command" / "program.py"), *words]
    environment = os.environ | {"COLUMNS": str(columns), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=True).stdout


def flags_in(shown: str) -> list[str]:
    return re.findall(r"^  (--[a-z-]+)", shown, re.MULTILINE)


@pytest.mark.parametrize("stage", ["train", "oof", "audit"])
def test_help_shows_the_usual_settings_and_help_all_every_one_that_the_task_reads(stage: str) -> None:
    usual, everything = ours(stage, "--help"), ours(stage, "--help-all")
    declared = [flag(field.name) for field in dataclasses.fields(Settings) if field.name not in NOT_READ[stage]]
    assert sorted(flags_in(everything)) == sorted(declared)
    assert 12 < len(flags_in(usual)) < 30
    assert flags_in(usual) == [name for name in declared if name in flags_in(usual)]  # in the order declared
    assert f"./inv {stage} --help-all shows {len(declared) - len(flags_in(usual))} more." in usual


def test_what_belongs_to_another_task_is_not_in_the_help_of_this() -> None:
    assert "--vote" not in ours("train", "--help-all")
    assert not {"--distillation", "--resume", "--sheet-key"} & set(flags_in(ours("audit", "--help-all")))
    assert "--vote" in flags_in(ours("audit", "--help"))


def test_main_py_shows_the_same_lines_as_the_task() -> None:
    script = subprocess.run(
        [sys.executable, "-X", "importtime", processes.MAIN, "--help"], capture_output=True, text=True,
        env=os.environ | {"COLUMNS": "80"}, timeout=60,
    )  # fmt: skip
    lines = ours("train", "--help").splitlines()
    missing = [line for line in lines[4:-1] if line not in script.stdout.splitlines()]
    assert missing == []
    assert "--stage, -s {train,oof,audit,features,look,predict}" in script.stdout
    assert not {line.rsplit("|")[-1].strip() for line in script.stderr.splitlines()} & HEAVY


@pytest.mark.parametrize("columns", [80, 120])
def test_help_says_what_a_setting_takes_and_fits_the_terminal(columns: int) -> None:
    shown = [ours(task, "--help-all", columns=columns) for task in ("compare", "prepare-images", "jobs")]
    longest = max(len(line) for page in shown for line in page.splitlines())
    assert columns - 10 < longest <= columns
    for taken in ("--epoch N", "--learning-rate, --lr X", "--corrections FILE", "--output FOLDER", "--mixup "):
        assert f"  {taken}" in shown[0]
    assert "  --noise-type {none,symmetric,pairflip,confusion}" in shown[0]
    assert "  --count N " in shown[2]


def test_a_refusal_of_the_script_is_all_that_is_said_and_its_exit_code_is_passed_on() -> None:
    refused = inv("train", "--batch-size", 0)
    assert refused.returncode == 2
    assert refused.stderr.strip() == "error: --batch-size: 0 is outside [2, inf)"
    assert refused.stdout.strip() == ""


@pytest.mark.slow
def test_results_are_printed_from_any_folder(tmp_path: Path) -> None:
    refused = inv("results", "--output", tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        f"error: {tmp_path / 'results.csv'} is missing: no run has finished here yet; start one with ./inv train"
    )


@pytest.mark.slow
def test_oof_takes_five_folds_unless_told_otherwise(prepared: Path, tmp_path: Path) -> None:
    words = ["--dataset", prepared, "--output", tmp_path, "--epoch", 1, "--batch-size", 32]
    made = inv("oof", *words)
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in tmp_path.glob("oof-*/fold-*")) == [f"fold-{number}" for number in range(5)]
    log = tmp_path / "log"
    assert processes.finish(processes.fork_main(log, *words, "--distillation", "--seed", 3)) == 0
    assert "fold models" not in log.read_text()  # what ./inv oof made is what distillation takes
    assert len(list(tmp_path.glob("oof-*"))) == 1
