"""A setting is declared once; text and YAML are read by its type, checked by its range, and refused in words."""

import math
import re
import sys
from dataclasses import dataclass

import pytest

from project.work.common import UserError
from project.work.machine.process import run_command
from project.work.settings.flags import build, by_name, describe, inside, parse, setting, task_options


@dataclass(frozen=True)
class Oven:
    """Settings of a pretend program."""

    heat: float = setting(180.0, "how hot", within="(0, 300]")
    trays: int = setting(1, "how many", within="[1, inf)", alias="racks", short="t")
    fan: bool = setting(False, "blow")
    mode: str = setting("bake", "what for", choices=("bake", "grill"))
    timer: int | None = setting(None, "minutes; never stops when not given")


@dataclass(frozen=True)
class Named:
    """Settings of another."""

    name: str = setting("", "what it is called")


def read(*words: str) -> Oven:
    return parse(Oven, words, "An oven.")


def test_what_is_not_given_keeps_its_declared_default() -> None:
    assert read() == Oven(heat=180.0, trays=1, fan=False, mode="bake", timer=None)


def test_flags_are_read_by_the_type_of_their_field() -> None:
    assert read("--heat", "2e2", "--trays=3", "--fan", "--mode", "grill", "--timer", "5") == Oven(
        200.0, 3, True, "grill", 5
    )


def test_an_alias_sets_the_same_field_and_the_last_word_counts() -> None:
    assert read("--racks", "2").trays == 2
    assert read("--trays", "2", "--racks", "4").trays == 4


@pytest.mark.parametrize("words", [["-t", "2"], ["-t=2"]])
def test_a_letter_with_one_dash_sets_the_same_field(words: list[str]) -> None:
    assert read(*words).trays == 2
    with pytest.raises(UserError, match=r"^--trays: 0 is outside"):
        read("-t", "0")


@pytest.mark.parametrize("word", ["-trays", "-trays=2", "-t2"])
def test_letters_and_values_are_not_joined(word: str) -> None:
    with pytest.raises(UserError, match=rf"^unrecognized arguments: {word}; did you mean (--trays|-t)\?; --help"):
        read(word)


def test_an_invoke_task_reads_a_letter_as_its_field() -> None:
    assert by_name(Oven, {"t": "2", "trays": None, "heat": None}) == {"trays": "2", "heat": None}
    with pytest.raises(UserError, match="--trays and -t are both given"):
        by_name(Oven, {"t": "2", "trays": "3"})


@dataclass(frozen=True)
class Renamed:
    """Settings of which one had another name."""

    heat: float = setting(180.0, "how hot", former="warmth")
    blow: bool = setting(False, "blow", former="fan")


def test_a_former_name_is_still_read_wherever_settings_are() -> None:
    meant = Renamed(heat=90.0, blow=True)
    assert parse(Renamed, ["--warmth=90", "--fan"], "An oven.") == meant
    assert build(Renamed, {"warmth": 90, "fan": True}) == meant
    options = {name: default for name, (default, _) in task_options(Renamed).items()}
    assert by_name(Renamed, options | {"warmth": "90", "no_fan": True}) == {
        "heat": "90", "blow": False, "no_blow": True,
    }  # fmt: skip
    for given in ({"heat": 1, "warmth": 2}, {"blow": True, "fan": False}):
        with pytest.raises(UserError, match="its former name, are both given"):
            build(Renamed, given)
    with pytest.raises(UserError, match="--heat and --warmth are both given"):
        by_name(Renamed, options | {"heat": "1", "warmth": "2"})


def test_a_switch_has_an_off_form() -> None:
    assert read("--fan", "--no-fan").fan is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trays", "2", "-t=4"], "--trays 2 and -t 4 are both given"),
        (["--heat=1", "--trays", "2", "--heat", "1"], "--heat 1 is given twice"),
        (["--fan", "--no-fan"], "--fan and --no-fan are both given"),
        (["--no-fan", "--fan"], "--no-fan and --fan are both given"),
        (["--no-fan", "--no-fan"], "--no-fan is given twice"),
    ],
)
def test_of_two_typed_flags_for_one_setting_none_is_guessed_to_be_meant(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["oven", *words])
    with pytest.raises(UserError) as refusal:
        parse(Oven, None, "An oven.")
    assert str(refusal.value) == f"{said}; give one of them"


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-.5", "-inf"])
def test_a_negative_number_is_a_value_and_no_flag(value: str) -> None:
    with pytest.raises(UserError, match=rf"^--heat: {float(value)} is outside"):
        read("--heat", value)


def test_text_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match=r"^--name: 'a\\udcff' is not UTF-8 text$"):
        build(Named, {"name": "a\udcff"})
    with pytest.raises(UserError, match=r"^--name: 'a\\x00' holds a NUL character$"):
        build(Named, {"name": "a\0"})


def test_what_is_refused_is_shown_in_brief_however_deep_it_nests() -> None:
    value: list = []
    for _ in range(60):  # as a few lines of YAML with aliases make it: 2 ** 60 lists
        value = [value, value]
    with pytest.raises(UserError) as refusal:
        build(Oven, {"heat": value})
    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize(
    ("number", "interval", "lies_in_it"),
    [
        (0, "[0, 1)", True),
        (1, "[0, 1)", False),
        (0, "(0, 1]", False),
        (1, "(0, 1]", True),
        (-0.1, "[0, 1)", False),
        (1e300, "(0, inf)", True),
        (math.inf, "(0, inf)", False),
        (math.nan, "(-inf, inf)", False),
    ],
)
def test_a_bracket_admits_its_bound_and_a_parenthesis_does_not(number: float, interval: str, lies_in_it: bool) -> None:
    assert inside(number, interval) is lies_in_it


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("heat", "0", "--heat: 0.0 is outside (0, 300]"),
        ("heat", "nan", "--heat: nan is outside (0, 300]"),
        ("heat", "warm", "--heat: 'warm' is not a number"),
        ("heat", None, "--heat: None is not a number"),
        ("heat", [200], "--heat: [200] is not a number"),
        ("trays", "1.5", "--trays: '1.5' is not a whole number"),
        ("trays", 1.5, "--trays: 1.5 is not a whole number"),
        ("trays", math.inf, "--trays: inf is not a whole number"),
        ("trays", True, "--trays: True is not a whole number"),
        ("fan", "maybe", "--fan: 'maybe' is not true or false"),
        ("fan", 1, "--fan: 1 is not true or false"),
        ("mode", "fry", "--mode: fry is not one of bake, grill"),
        ("mode", True, "--mode: True is not text"),
        ("haet", 200, "haet is not a setting; did you mean heat?"),
        ("colour", "red", "colour is not a setting"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(name: str, value: object, reason: str) -> None:
    with pytest.raises(UserError) as refusal:
        build(Oven, {name: value})
    assert str(refusal.value) == reason


def test_values_are_read_as_yaml_gives_them() -> None:
    assert build(Oven, {"heat": 200, "trays": 2.0, "timer": None, "mode": "grill"}) == Oven(200.0, 2, False, "grill")
    assert build(Oven, {"heat": "1e2"}).heat == 100.0  # YAML 1.1 takes 1e2 for text


def test_an_unknown_flag_is_refused_in_one_line_with_the_nearest_known_one() -> None:
    with pytest.raises(UserError) as refusal:
        read("--tray", "3")
    said = "unrecognized arguments: --tray 3; did you mean --trays?; --help-all lists all settings"
    assert str(refusal.value) == said


@pytest.mark.parametrize("word", ["--Heat=3", "--HEAT", "--he_at", "-eat"])
def test_capitals_underscores_and_a_single_dash_are_seen_through(word: str) -> None:
    with pytest.raises(UserError, match=r"; did you mean --heat\?; --help"):
        read(word)


def test_a_flag_without_its_value_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^argument --heat: expected one argument; --help-all lists all settings$"):
        read("--heat")


def test_help_tells_purpose_range_and_default() -> None:
    fields = {field.name: describe(field) for field in Oven.__dataclass_fields__.values()}
    assert fields["heat"] == "how hot (in (0, 300]; default 180.0)"
    assert fields["mode"] == "what for (bake|grill; default bake)"
    assert fields["fan"] == "blow"


def test_an_invoke_task_gets_the_same_settings_with_text_left_as_text() -> None:
    options = task_options(Oven)
    assert {name: default for name, (default, _) in options.items()} == {
        "heat": None,
        "trays": None,
        "racks": None,
        "t": None,
        "fan": False,
        "no_fan": False,
        "mode": None,
        "timer": None,
    }
    assert options["heat"][1] == "how hot (in (0, 300]; default 180.0)"
    assert options["t"][1] == "the same as --trays"


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (UserError("heat: too much"), 2, "error: heat: too much\n"),
        (OSError(28, "No space left on device", "/full"), 2, "error: /full: No space left on device; "),
        (KeyboardInterrupt(), 130, "\nstopped\n"),
    ],
)
def test_a_command_ends_in_words_and_an_exit_code(
    capsys: pytest.CaptureFixture, fault: BaseException, code: int, said: str
) -> None:
    def main() -> None:
        raise fault

    with pytest.raises(SystemExit) as end:
        run_command(main)
    assert end.value.code == code
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (MemoryError(), "this machine is out of memory; lower --batch-size"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 800 bytes."),
            "this machine is out of memory, for 800 bytes more; lower --batch-size",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 8 GiB"),
            "the GPU is out of memory, for 20.00 MiB more; lower --batch-size",
        ),
        (OSError(12, "Cannot allocate memory"), "this machine is out of memory; lower --batch-size"),
    ],
)
def test_too_little_memory_says_what_to_lower(capsys: pytest.CaptureFixture, fault: Exception, said: str) -> None:
    def main() -> None:
        raise fault

    with pytest.raises(SystemExit) as end:
        run_command(main, "--batch-size")
    assert (end.value.code, capsys.readouterr().err) == (2, f"error: {said}\n")


def test_what_numpy_and_torch_say_of_memory_is_understood(capsys: pytest.CaptureFixture) -> None:
    import numpy
    import torch

    for ask in (lambda: numpy.empty(1 << 58), lambda: torch.empty(1 << 58)):
        with pytest.raises(SystemExit):
            run_command(ask, "--size")
        assert re.fullmatch(
            r"error: this machine is out of memory, for \d[\d.]* \w+ more; lower --size\n", capsys.readouterr().err
        )


def test_other_errors_are_no_shortage() -> None:
    def main() -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run_command(main)
