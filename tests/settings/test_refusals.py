"""main.py refuses what cannot work in one line with exit code 2, without a traceback and before torch is loaded."""

import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

HEAVY = {"torch", "torchvision", "numpy", "pandas", "sklearn", "matplotlib"}


def refuse(*words: str, script: tuple[str, ...] = (str(processes.MAIN),)) -> str:
    """The line that a refused command prints, once it is known to be one line and to have loaded nothing heavy."""
    command = [sys.executable, "-X", "importtime", *script, *words]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = process.stderr.splitlines()
    loaded = {line.rsplit("|")[-1].strip() for line in lines if line.startswith("import time:")}
    said = [line for line in lines if not line.startswith("import time:")]
    assert process.returncode == 2
    assert process.stdout == ""
    assert len(said) == 1
    assert not loaded & HEAVY
    return said[0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--batch-size 0", "--batch-size: 0 is outside [2, inf)"),
        ("--batch-size 1", "--batch-size: 1 is outside [2, inf)"),
        ("--batch-size many", "--batch-size: 'many' is not a whole number"),
        ("--epoch 0", "--epoch: 0 is outside [1, inf)"),
        ("--accumulation-steps 0", "--accumulation-steps: 0 is outside [1, inf)"),
        ("--learning-rate nan", "--learning-rate: nan is outside (0, inf)"),
        ("--lr inf", "--learning-rate: inf is outside (0, inf)"),
        ("--lr 0", "--learning-rate: 0.0 is outside (0, inf)"),
        ("--momentum 1", "--momentum: 1.0 is outside [0, 1)"),
        ("--weight-decay -1", "--weight-decay: -1.0 is outside [0, inf)"),
        ("--valid-rate 1", "--valid-rate: 1.0 is outside (0, 1)"),
        ("--valid-rate 0", "--valid-rate: 0.0 is outside (0, 1)"),
        ("--softmax-temperature 0", "--softmax-temperature: 0.0 is outside (0, inf)"),
        ("--soft-loss-weight nan", "--soft-loss-weight: nan is outside [0, inf)"),
        ("--mixup-alpha 0", "--mixup-alpha: 0.0 is outside (0, inf)"),
        ("--ema 1", "--ema: 1.0 is outside [0, 1)"),
        ("--label-smoothing 1", "--label-smoothing: 1.0 is outside [0, 1)"),
        ("--folds 1", "--folds: 1 is outside [2, inf)"),
        ("--folds 5", "--folds 5: a run without --distillation or --clean has no fold models; for out-of-fold logits"),
        ("--stage oof --resume x", "--stage oof --resume: only runs are resumed; the same command goes on by itself"),
        ("--seed -1", "--seed: -1 is outside [0, inf)"),
        ("--split-seed 4294967296", "--split-seed: 4294967296 is outside [0, 4294967295]"),
        ("--image-size 4", "--image-size: 4 is outside [8, 1024]"),
        ("--pixel-mean nan --pixel-std 1", "--pixel-mean: nan is outside (-inf, inf)"),
        ("--gpu 0,0", "--gpu: '0,0' is not a number such as 0, or several such as 0,1"),
        ("--gpu 0,1 --processes 3", "--gpu 0,1 --processes 3: each GPU has one process; give one of both"),
        ("--processes 2 --device cuda", "--processes is for the CPU; --gpu 0,1 starts one process for each GPU"),
        ("--device abacus", "--device: abacus is not one of auto, cpu, cuda, mps"),
        ("--model narrow --pretrained", "--model narrow: there are no pretrained weights of it"),
        ("--schedule never", "--schedule: never is not one of multistep, onecycle, cosine"),
        ("--augment cutout", "--augment: cutout is not one of none, flip, affine"),
        ("--recipe secret", "--recipe: secret is not one of default, predecessor, finetune, robust"),
        ("--mixup --manifold-mixup", "--mixup and --manifold-mixup: choose one"),
        ("--co-teaching --mixup", "--mixup and --co-teaching: choose one (a mixed image has no single label"),
        ("--co-teaching --elr", "--elr and --co-teaching: choose one (ELR averages the predictions of one"),
        ("--nts --distillation", "--distillation and --nts: choose one (both add a teacher's predictions to the"),
        ("--nts --co-teaching", "--co-teaching and --nts: choose one (co-teaching chooses by the labels"),
        (
            "--clean drop --recipe robust",
            "--clean drop and --label-posterior: choose one (the second goes by the noise of",
        ),
        (
            "--clean relabel --co-teaching",
            "--clean relabel --co-teaching: give --co-teaching-rate (by itself it goes by",
        ),
        ("--clean reweight --flag-by confident", "--clean reweight --flag-by confident: rows are weighted whether"),
        ("--co-teaching-rate 1", "--co-teaching-rate: 1.0 is outside [0, 1)"),
        ("--nts-label-weight 1.1", "--nts-label-weight: 1.1 is outside [0, 1]"),
        ("--sam-radius 0", "--sam-radius: 0.0 is outside (0, inf)"),
        ("--bach-size 3", "unrecognized arguments: --bach-size 3; did you mean --batch-size?"),
    ],
)
def test_an_impossible_setting_is_refused_at_once(words: str, reason: str) -> None:
    assert refuse(*words.split()).startswith(f"error: {reason}")


def test_a_misspelt_key_in_settings_yaml_is_refused_with_its_file_and_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("learning-rat: 0.1\n")
    program = (
        "from pathlib import Path; from project.work import common, main;"
        "from project.work.machine.process import run_command;"
        f"common.DEFAULTS_FILE = Path({str(path)!r}); run_command(main.main)"
    )
    line = refuse(script=("-c", program))
    assert line == f"error: {path}: learning_rat is not a setting; did you mean learning_rate?"


@pytest.mark.parametrize("more", [[], ["--stage", "audit"], ["--stage", "oof"], ["--processes", "2"]])
def test_data_that_are_not_there_are_refused_with_the_nearest_name(tmp_path: Path, more: list[str]) -> None:
    for name in ("sample", "quickdraw", ".smapl.partial"):
        (tmp_path / name).mkdir()
    assert refuse("--dataset", f"{tmp_path}/smaple", *more) == (
        f"error: {tmp_path}/smaple is missing: run ./inv prepare first (./inv prepare-images for pictures of your own),"
        " or give --dataset the name of a prepared set; did you mean sample?"
    )


def test_a_refusal_takes_less_than_a_second_and_a_half() -> None:
    seconds = []
    for _ in range(3):  # the fastest of three: the machine may be busy
        started = time.perf_counter()
        assert processes.run("--batch-size", 0).returncode == 2
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--gpu", "99"], "--gpu 99: torch sees "),
        (["--gpu", "0", "--device", "cpu"], "--gpu 0: torch sees "),
        (["--dataset", "/nowhere/at/all"], "/nowhere/at/all is missing: run ./inv prepare first"),
        (["--resume", "unknown"], "--resume unknown: "),
        (["--uuid", "../up"], "--uuid ../up: "),
        (["--output", f"{processes.MAIN}/below"], f"{processes.MAIN}/below: cannot be written"),
    ],
)
def test_what_only_the_machine_can_tell_is_refused_in_one_line(
    prepared: Path, tmp_path: Path, words: list[str], reason: str
) -> None:
    log = tmp_path / "log"
    code = processes.finish(processes.fork_main(log, "--dataset", prepared, "--output", tmp_path / "output", *words))
    assert code == 2
    assert log.read_text().startswith(f"error: {reason}")
    assert log.read_text().count("\n") == 1


def test_a_run_refused_for_its_data_leaves_its_uuid_free(tmp_path: Path, prepared: Path) -> None:
    usual = ["--output", tmp_path, "--uuid", "mine", "--epoch", 1, "--batch-size", 32]
    assert processes.finish(processes.fork_main(tmp_path / "log", *usual, "--dataset", f"{prepared}-misspelt")) == 2
    assert processes.finish(processes.fork_main(tmp_path / "log", *usual, "--dataset", prepared)) == 0
