"""A comparison runs what is missing, survives failures and Ctrl-C, and shows what there is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from project.command import compare, runs
from project.command.compare import points_of, read_rates, read_seeds, with_base
from project.work.common import ROOT, UserError
from project.work.settings import resolve

pytestmark = pytest.mark.slow


def inv(*words: object) -> list[str]:
    return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "compare", *map(str, words)]


def test_each_seed_has_its_own_noise_and_rate_zero_has_none() -> None:
    points = points_of(["base", "elr"], [0.0, 0.4], [0, 7], {"noise_type": "symmetric", "epoch": "3"})
    seen = [(point.method, point.rate, point.seed, point.settings.noise_type, point.settings.noise_seed)
            for point in points]  # fmt: skip
    assert seen[4:] == [
        ("base", 0.0, 7, "none", 0), ("elr", 0.0, 7, "none", 0),
        ("base", 0.4, 7, "symmetric", 7), ("elr", 0.4, 7, "symmetric", 7),
    ]  # fmt: skip
    assert [point.settings.elr for point in points] == [False, True] * 4
    clean = runs.uuid_of(resolve.combine({"epoch": 3, "seed": 7}))
    assert points[4].run.uuid == clean  # a plain run of the same settings is the clean control


def test_a_noise_seed_that_is_given_holds_for_all() -> None:
    points = points_of(["base"], [0.4], [0, 1], {"noise_type": "symmetric", "noise_seed": "5"})
    assert [point.settings.noise_seed for point in points] == [5, 5]


def test_the_recipe_for_wrong_labels_is_compared_unless_methods_are_named(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    wanted = {"dataset": str(prepared), "output": str(tmp_path), "seed": "0", "noise_rate": "0", "dry_run": True}
    compare.run_compare({}, wanted)
    printed = capsys.readouterr().out.splitlines()
    assert [word in line for line, word in zip(printed, ["", "--recipe=robust", "--elr"], strict=True)] == [True] * 3


def test_base_is_there_and_everything_once() -> None:
    assert with_base(["elr", "mixup", "elr"]) == ["base", "elr", "mixup"]
    assert with_base(["elr", "base"]) == ["elr", "base"]
    assert read_rates("0.4, 0,0.40") == [0.4, 0.0]
    assert read_seeds("2,0,2") == [2, 0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"noise_rate": "0,1"}, r"--noise-rate: 1 is outside \[0, 1\)"),
        ({"noise_rate": "0,nan"}, "--noise-rate: nan is outside"),
        ({"noise_rate": "much"}, "--noise-rate: 'much' is not a list of numbers such as 0,0.2,0.4"),
        ({"noise_rate": ""}, "--noise-rate: '' holds an empty word"),
        ({"seed": ","}, "--seed: ',' holds an empty word"),
        ({"seed": "0,-1"}, r"seed=-1: --seed: -1 is outside \[0, inf\)"),
        ({"method": ""}, "--method: '' holds an empty word"),
        ({"method": "base,erl"}, "'erl' is not a method; did you mean elr?"),
        ({"method": "mixup+manifold-mixup"}, "^method=mixup.manifold-mixup noise_rate=0 seed=0: .*choose one"),
        ({"method": "seed=4"}, "seed is not a method's to set"),
        ({"epoch": "2,3"}, "--epoch 2,3: a comparison varies methods, noise rates and seeds; .* base,epoch=2"),
        ({"noise_type": "confusion"}, "--noise-type confusion: give --noise-file"),
        ({"folds": "3"}, "a run without --distillation or --clean has no fold models"),
        ({"dataset": "nowhere"}, r"nowhere is missing: run \./inv prepare first"),
        ({"uuid": "x"}, "names its runs itself"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(tmp_path: Path, values: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        compare.run_compare({}, values | {"output": str(tmp_path / "new")})
    assert not (tmp_path / "new").exists()


def test_no_comparison_mixes_runs_on_pictures_that_were_prepared_anew(prepared: Path, tmp_path: Path) -> None:
    values = {"dataset": str(prepared), "method": "base", "noise_rate": "0", "seed": "0,1", "output": str(tmp_path)}
    points = points_of(["base"], [0.0], [0, 1], {"noise_type": "symmetric", "dataset": str(prepared)})
    rows = "".join(f"{point.run.uuid},of-other-files\n" for point in points)
    (tmp_path / "results.csv").write_text(f"uuid,data_digest\n{rows}")
    with pytest.raises(UserError, match=f"its pictures changed since 2 of these runs finished in {tmp_path}; give"):
        compare.run_compare({}, values)
    assert not (tmp_path / "compare.html").exists()


def test_a_comparison_that_is_stopped_and_has_a_failure_ends_whole(prepared: Path, tmp_path: Path) -> None:
    words = ["--dataset", prepared, "--output", tmp_path, "--epoch", 1, "--batch-size", 54, "--device", "cpu"]
    words += ["--optimizer", "sgd", "--method", "lr=0.03", "--noise-rate", "0,0.4", "--seed", "0,1"]
    process = subprocess.Popen(inv(*words), stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 600
    while not (tmp_path / "results.csv").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=3000)
    assert process.returncode == 130
    assert "runs done" in (tmp_path / "compare.html").read_text()
    before = len(pd.read_csv(tmp_path / "results.csv"))
    assert 1 <= before < 8

    doomed = subprocess.run(inv(*words, "--dry-run"), capture_output=True, text=True, timeout=3000, check=True)
    doomed = doomed.stdout.splitlines()[-2].split("--uuid=")[1]
    (tmp_path / f"base-{doomed}").write_text("in the way")  # of its folder
    second = subprocess.run(inv(*words), capture_output=True, text=True, timeout=3000)
    assert second.returncode == 1
    assert f"8 runs, {before} of them finished already" in second.stderr
    assert "1 of 8 runs failed; the same command tries them again" in second.stderr
    assert "Not finished:" in second.stdout
    (tmp_path / f"base-{doomed}").unlink()
    last = subprocess.run(inv(*words), capture_output=True, text=True, timeout=3000)
    assert last.returncode == 0, last.stderr
    assert "lr=0.03" in last.stdout
    assert "At 40% noise: base reaches" in last.stdout
    assert "8 of 8 runs done" in (tmp_path / "compare.html").read_text()
    table = pd.read_csv(tmp_path / "results.csv")
    assert sorted(table["noise_seed"][table["noise_rate"] > 0]) == [0, 0, 1, 1]
