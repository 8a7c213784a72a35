"""What ./inv says of a line that is wrong, and of configuration that is: one line, in the words of main.py."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from project.command import configuration
from project.command.program import Config, Program
from project.work.common import ROOT, UserError
from project.work.machine.process import run_command

pytestmark = pytest.mark.slow

Say = Callable[..., str]


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture) -> Say:
    """The one line that ./inv, in this process, says of some words; it exits with 2."""

    def say(*words: str) -> str:
        program = Program("1", name="test", binary="./inv", config_class=Config)
        with pytest.raises(SystemExit) as end:
            run_command(lambda: program.run(["inv", "--search-root", str(ROOT), *words]))
        out, error = capfd.readouterr()
        assert (end.value.code, out, error.count("\n")) == (2, "", 1), out + error
        return error.strip().removeprefix("error: ")

    return say


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train --epochs 5", "unrecognized arguments: --epochs; did you mean --epoch?; "),
        ("train --learning_rate 0.1", "unrecognized arguments: --learning_rate; did you mean --learning-rate?; "),
        ("train --Seed=1", "unrecognized arguments: --Seed=1; did you mean --seed?; "),
        ("sweep -parallel 2", "unrecognized arguments: -parallel; did you mean --parallel?; "),
        ("run-local --dry_run", "unrecognized arguments: --dry_run; did you mean --dry-run?; "),
        ("train --epoch 5 --epoch 7", "--epoch 5 and --epoch 7 are both given; "),
        ("train --epoch=5 --seed 1 --epoch=5", "--epoch 5 is given twice; "),
        ("train --mixup --mixup", "--mixup is given twice; "),
        ("train --mixup --no-mixup", "--mixup and --no-mixup are both given; "),
        ("sweep --lr 0.1 --learning-rate 0.2", "--learning-rate 0.2 and --lr 0.1 are both given; "),
        ("train --mixup 5", "unrecognized arguments: 5; --mixup is a switch and takes no value; "),
        ("train --mixup=yes", "--mixup is a switch and takes no value; "),
        ("train 5", "unrecognized arguments: 5; ./inv train --help-all lists"),
        ("train --epoch", "argument --epoch: expected one argument; "),
        ("train --epoch --seed=1", "argument --epoch: expected one argument; "),
        ("train --uuid=--seed", "--uuid: --seed is a flag, not a value"),
        ("train -- --epoch 5", "words after -- have no effect; "),
        ("--epoch 5 train", "--epoch stands before the task; flags come after it: ./inv train"),
        ("--epochs 5 train", "--epochs stands before the task; did you mean --epoch?; "),
        ("tain --epoch 5", "tain is not a task; did you mean train?; "),
        ("prepare_images", "prepare_images is not a task; did you mean prepare-images?; "),
        ("--train", "unrecognized arguments: --train; did you mean train?; "),
        ("results oof --epoch 2 tran", "unrecognized arguments: tran; did you mean train?; ./inv oof --help"),
        ("follow", "follow needs a name: ./inv follow NAME"),
        ("follow --region x train --epoch 1", "--epoch: ./inv follow does not read it; ./inv "),
        ("train --vote", "--vote: ./inv train does not read it; ./inv audit and ./inv train-ai-platform do"),
        ("oof --epoch 1 --mixup", "--mixup: ./inv oof does not read it; ./inv train, ./inv audit and others do"),
        ("audit --distillation", "--distillation: ./inv audit does not read it; ./inv "),
        ("prepare --epoch=3", "--epoch: ./inv prepare does not read it; ./inv "),
        ("jobs --count ten", "--count: 'ten' is not a whole number"),
        ("-T ten jobs", "a flag of invoke needs a whole number: 'ten'; "),
        ("--list-format csv --list", "--list-format: csv is not one of flat, nested, json"),
        ("-f /nowhere.yaml jobs", "--config: /nowhere.yaml is missing"),
        ("-f /etc/passwd jobs", "--config: Config files of type '' "),
        ("train --uuid a\udcff", r"a word of the command line: 'a\udcff' is not UTF-8 text"),
    ],
)
def test_a_line_that_is_wrong_is_refused_before_any_task_runs(refusal: Say, line: str, said: str) -> None:
    assert refusal(*line.split(" ")).startswith(said)


def test_lines_of_several_tasks_and_values_of_all_kinds_are_read(capfd: pytest.CaptureFixture, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        program = Program("1", name="test", binary="./inv", config_class=Config)
        program.run(["inv", "--search-root", str(ROOT), *words], exit=False)
        return capfd.readouterr().out

    sweep = ["--learning-rate=1e-1,2e-1", "--seed", "0", "--output", str(tmp_path / "-a=b c"), "--dry-run"]
    (data,) = [["--data-uri", "gs://a/b"]]
    twice = run("sweep", *data, *sweep, "settings", "sweep", *data, "--seed=3", "--dry-run").splitlines()
    commands = [line for line in twice if "main.py" in line]
    assert len(commands) == 3
    assert f"'--output={tmp_path}/-a=b c'" in commands[0]
    assert "--seed=3" in commands[2]
    assert any(line.startswith("| `--dataset NAME`") for line in twice)
    for line in (["follow", "--help"], ["--help", "follow"], ["follow", "x", "-h"]):
        assert "Follow a job to its end." in run(*line)
    assert "quickstart" in run()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("local: 5", "local: needs lines under it"),
        ("local: [a]", "local: needs lines under it"),
        ("remote: x", "remote: needs lines under it"),
        ("- a\n- b", "needs lines such as"),
        ("5: a", "needs lines such as"),
        ("regoin: x", "regoin is not a setting; did you mean region?"),
        ("local: {contaner: x}", "local: contaner is not a setting; did you mean container?"),
        ("local: {run_options: 5}", "run_options is a list of texts"),
        ("build_args: {a: 1}", "build_args is a list of texts"),
        ("build_options: ['']", "build_options is a list of texts"),
        ("build_args: [[a]]", "build_args is a list of texts"),
        ("base_image: [a]", "base_image: "),
        ("timeout: soon", "--timeout: 'soon' is not a whole number"),
        ("spot: maybe", "--spot: 'maybe' is not true or false"),
        ("tag: 2024-01-31", "--tag: datetime.date(2024, 1, 31) is not text"),
        ("region: [a, b]", "--region: ['a', 'b'] is not text"),
        ("region:\tx\n\tb: c", "not YAML (line 1: found character"),
        ("a: [1, 2", "not YAML (line 1: "),
        ("run: 5", "run: needs lines under it"),
        ("run: {hide: bogus}", "run.hide: must be "),
        ("run: {shell: /no/shell}", "run.shell: /no/shell is not a program on this machine"),
        ("timeouts: {command: soon}", "timeouts.command: must be a number"),
        ("region: !!timestamp x", "not YAML (a bad value"),
        ("[" * 5000, "not YAML that can be read (nested too deeply)"),
        (b"region: \xff", "not YAML ("),
        (b"\x00", "not YAML ("),
        ("a: &a [x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(24))
         + "region: *y", "not YAML (line 2: the alias *a; write the value itself)"),
        ("x: " + "#" * 70_000, "is 70,003 bytes, but at most 32,768 are read"),
    ],
)  # fmt: skip
def test_a_fault_in_invoke_yaml_is_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = tmp_path / "invoke.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as refused:
        configuration.read(path, ours=True)
    message = str(refused.value)
    assert message.startswith(f"{path}")
    assert said in message
    assert "\n" not in message
    assert len(message) < 300 + len(str(path))


def test_what_a_person_may_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "invoke.yaml"
    path.write_text("")
    assert configuration.read(path, ours=True) == {}
    path.write_text((ROOT / "invoke.yaml").read_text().replace("# ", "", 1))
    lines = (ROOT / "invoke.yaml").read_text().splitlines()
    examples = [line.removeprefix("# ").removeprefix("#") for line in lines if line.startswith(("# ", "#   "))]
    wanted = [line for line in examples if line.split(":")[0] in ("gcp_project", "region", "bucket", "timeout", "spot")]
    path.write_text("\n".join([*wanted, "local: {gpus: off}", "run: {echo: true}"]))
    assert configuration.read(path, ours=True)["region"] == "us-central1"
    path.write_text("somebody: has tasks of their own")
    assert configuration.read(path, ours=False)["somebody"]  # as in ~/.invoke.yaml
    with pytest.raises(FileNotFoundError):  # by which invoke knows to look for invoke.yml
        configuration.read(tmp_path / "invoke.json", ours=True)


def run(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """./inv's program with the home folder, and so the personal configuration, of somebody."""
    command = [sys.executable, str(ROOT / "project" / "command" / "program.py"), *words]
    variables = os.environ | {"HOME": str(folder), "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=variables, cwd=folder)


@pytest.mark.parametrize("kind", ["pipe", "folder", "wrong"])
def test_a_configuration_that_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".invoke.yaml"
    {"pipe": os.mkfifo, "folder": os.mkdir, "wrong": lambda place: place.write_text("local: 5")}[kind](path)
    done = run("settings", folder=tmp_path)
    said = {"pipe": "is a named pipe", "folder": "is a folder", "wrong": "local: needs lines under it"}[kind]
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {path}")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("INVOKE_RUN_WATCHERS", "x", "Can't adapt an environment string into a"),
        ("INVOKE_RUN_HIDE", "bogus", "run.hide: must be out, err or both"),
        ("INVOKE_TIMEOUTS_COMMAND", "soon", "timeouts.command: must be a number of seconds"),
        ("INVOKE_RUNTIME_CONFIG", "/etc/passwd", "Config files of type ''"),
    ],
)
def test_an_environment_variable_of_invoke_that_is_wrong_is_one_line(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    done = run("settings", folder=tmp_path, **{name: value})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr
