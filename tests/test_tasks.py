"""The commands a person types, run as invoke runs them: they list at once, show every setting and pass faults on."""

import dataclasses
import resource
import subprocess
import sys
from pathlib import Path

import processes
import pytest

from project.work.common import ROOT
from project.work.settings.flags import flag
from project.work.settings.groups import Settings

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


@pytest.mark.parametrize("command", ["train", "oof", "audit"])
def test_help_shows_every_setting_of_a_run(command: str) -> None:
    shown = inv(command, "--help").stdout
    names = [flag(field.name) for field in dataclasses.fields(Settings)] + ["--lr", "--no-mixup"]
    assert [name for name in names if name not in shown] == []


def test_main_py_shows_the_same_settings() -> None:
    shown = processes.run("--help").stdout
    assert [field.name for field in dataclasses.fields(Settings) if flag(field.name) not in shown] == []


def test_a_refusal_of_the_script_is_all_that_is_said_and_its_exit_code_is_passed_on() -> None:
    refused = inv("train", "--batch-size", 0)
    assert refused.returncode == 2
    assert refused.stderr.strip() == "error: --batch-size: 0 is outside [2, inf)"
    assert refused.stdout.strip() == ""


def test_results_are_printed_from_any_folder(tmp_path: Path) -> None:
    refused = inv("results", "--output", tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        f"error: {tmp_path / 'results.csv'} is missing: no run has finished here yet; start one with ./inv train"
    )


def test_oof_takes_five_folds_unless_told_otherwise(prepared: Path, tmp_path: Path) -> None:
    words = ["--dataset", prepared, "--output", tmp_path, "--epoch", 1, "--batch-size", 32]
    made = inv("oof", *words)
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in tmp_path.glob("oof-*/fold-*")) == [f"fold-{number}" for number in range(5)]
    log = tmp_path / "log"
    assert processes.finish(processes.fork_main(log, *words, "--distillation", "--seed", 3)) == 0
    assert "fold models" not in log.read_text()  # what ./inv oof made is what distillation takes
    assert len(list(tmp_path.glob("oof-*"))) == 1
