"""What a person gives becomes exactly the flags that a script reads, and nothing that was not given."""

import dataclasses
import sys
from dataclasses import dataclass
from typing import get_type_hints

import make_command
from project.work.common import ROOT
from project.work.settings import resolve
from project.work.settings.flags import setting, task_options
from project.work.settings.groups import Settings


@dataclass(frozen=True)
class Oven:
    """Settings of a pretend program."""

    heat: float = setting(180.0, "how hot")
    timer: int | None = setting(None, "minutes")


def test_only_what_was_given_becomes_a_flag() -> None:
    values = {"batch_size": "128", "mixup": True, "no_amp": True, "seed": None, "distillation": False, "epoch": 0}
    assert make_command.flags(values) == ["--batch-size=128", "--mixup", "--no-amp", "--epoch=0"]


def test_values_that_look_like_flags_or_are_empty_stay_values() -> None:
    assert make_command.flags({"uuid": "--mixup", "dataset": ""}) == ["--uuid=--mixup", "--dataset="]


def test_a_script_runs_by_its_full_path_with_this_python() -> None:
    command = make_command.script("project/work/main.py", {"epoch": "2"})
    assert command == [sys.executable, str(ROOT / "project/work/main.py"), "--epoch=2"]


def test_the_options_of_a_task_come_back_as_the_same_settings() -> None:
    given = {"batch_size": "64", "lr": "0.02", "mixup": True, "no_amp": True, "uuid": "x y"}
    values = {name: default for name, (default, _) in task_options(Settings).items()} | given
    settings = resolve.parse(make_command.flags(values))
    assert settings == dataclasses.replace(
        resolve.parse([]), batch_size=64, learning_rate=0.02, mixup=True, amp=False, uuid="x y"
    )


def test_the_settings_table_is_markdown_with_a_line_a_setting() -> None:
    table = make_command.settings_table(dataclasses.fields(Oven), get_type_hints(Oven))
    assert table.splitlines() == [
        "| setting | default | what it is |",
        "|---|---|---|",
        "| `--heat X` | 180.0 | how hot |",
        "| `--timer N` |  | minutes |",
    ]
