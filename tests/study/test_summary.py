"""The summary groups runs over seeds with mean and standard deviation, the best validation first."""

from pathlib import Path

import pandas as pd
import processes
import pytest

from project.work.common import UserError
from project.work.study import summary
from project.work.study.summary import summarise


def run(seed: int, valid: float, test: float, **more: object) -> dict[str, str]:
    usual = {
        "uuid": f"{seed}{more}", "lr": 0.1, "mixup": False, "epoch": 2, "seed": seed, "dataset": "d", "model": "narrow",
        "method": "base", "best_valid_accuracy": valid, "best_test_accuracy": test, "last_test_accuracy": test - 0.01,
        "seconds": 10 + seed,
    }  # fmt: skip
    return {name: str(value) for name, value in (usual | more).items()}


def test_runs_that_differ_in_seed_alone_are_one_line_with_mean_and_deviation() -> None:
    table = pd.DataFrame([run(0, 0.50, 0.40), run(1, 0.54, 0.44), run(2, 0.52, 0.48)])
    (line,) = summarise(table).to_dict("records")
    assert line["seeds"] == 3
    assert line["valid"] == "52.0 +- 2.0"  # deviations -2, 2, 0: sqrt(8 / 2)
    assert line["test"] == "44.0 +- 4.0"
    assert line["last"] == "43.0 +- 4.0"
    assert line["seconds"] == 11


def test_seeds_with_noise_of_their_own_are_one_line_a_rate() -> None:
    noisy = [
        run(seed, 0.50 + 0.02 * seed, 0.40, noise_type="symmetric", noise_rate=0.2, noise_seed=seed) for seed in (0, 2)
    ]
    clean = [run(seed, 0.80, 0.70, noise_type="none", noise_rate=0.0, noise_seed=0) for seed in (0, 2)]
    lines = summarise(pd.DataFrame(noisy + clean))
    assert "noise_seed" not in lines
    assert lines[["noise_rate", "seeds", "valid"]].to_numpy().tolist() == [
        ["0.0", 2, "80.0 +- 0.0"],
        ["0.2", 2, "52.0 +- 2.8"],  # deviations -2, 2: sqrt(8 / 1)
    ]


@pytest.mark.parametrize("name", ["corrections", "audit_file"])
def test_files_of_each_seeds_own_are_one_line_and_none_is_another(name: str) -> None:
    mended = [run(seed, 0.60, 0.50, **{name: f"runs/{seed}/{name}.csv"}) for seed in (0, 1)]
    lines = summarise(pd.DataFrame([*mended, run(0, 0.50, 0.40, **{name: ""})]))
    assert lines[[name, "seeds", "valid"]].to_numpy().tolist() == [["given", 2, "60.0 +- 0.0"], ["", 1, "50.0"]]
    assert name not in summarise(pd.DataFrame(mended))


def test_one_seed_has_no_deviation() -> None:
    (line,) = summarise(pd.DataFrame([run(0, 0.5, 0.4)])).to_dict("records")
    assert (line["seeds"], line["valid"]) == (1, "50.0")


def test_lines_are_in_order_of_validation_even_where_test_says_otherwise() -> None:
    table = pd.DataFrame(
        [
            run(0, 0.50, 0.90, lr=0.1),
            run(0, 0.70, 0.10, lr=0.2),
            run(1, 0.20, 0.10, lr=0.2),
            run(0, 0.60, 0.50, lr=0.3),
        ]
    )
    assert summarise(table)["lr"].tolist() == ["0.3", "0.1", "0.2"]  # 60, 50, and 45 on average


def test_only_settings_that_vary_are_columns() -> None:
    table = pd.DataFrame([run(0, 0.5, 0.4), run(0, 0.6, 0.5, mixup=True, method="mixup", weight_decay=0.1)]).fillna("")
    lines = summarise(table)
    assert "lr" not in lines
    assert lines["method"].tolist() == ["mixup", "base"]


def test_what_a_method_that_is_off_was_told_is_no_difference() -> None:
    off = [run(seed, 0.5, 0.4, elr=False, elr_weight=weight) for seed, weight in ((0, 3.0), (1, 4.0))]
    on = [run(0, 0.6, 0.5, method="elr", elr=True, elr_weight=weight) for weight in (3.0, 4.0)]
    assert "elr_weight" not in summarise(pd.DataFrame([*off, on[0]]))
    lines = summarise(pd.DataFrame([*off, *on]))
    assert lines["elr_weight"].tolist() == ["3.0", "4.0", "-"]
    assert lines["seeds"].tolist() == [1, 1, 2]


@pytest.mark.slow
def test_results_of_two_seeds_are_printed_as_one_line(tmp_path: Path, prepared: Path) -> None:
    words = ["--dataset", prepared, "--output", tmp_path, "--epoch", 1, "--batch-size", 32]
    for seed in (0, 1):
        assert processes.finish(processes.fork_main(tmp_path / "log", *words, "--seed", seed)) == 0
    lines = summarise(summary.ResultTable(tmp_path).read())
    assert lines["seeds"].tolist() == [2]
    assert lines["method"].tolist() == ["base"]


@pytest.mark.parametrize("text", ["uuid,seed\n", "uuid,seed\na,1\n"])
def test_a_table_without_results_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(UserError, match=r"results\.csv"):
        summary.main(["--output", str(tmp_path)])


def test_no_table_yet_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run has finished here yet; start one with \./inv train"):
        summary.main(["--output", str(tmp_path)])


def test_switches_that_the_method_tells_are_no_columns_but_those_it_does_not_are() -> None:
    table = pd.DataFrame(
        [
            run(0, 0.5, 0.4, elr=False, gce=False, sce=False),
            run(0, 0.6, 0.5, elr=True, gce=False, sce=False, method="elr"),
            run(0, 0.7, 0.5, elr=True, gce=False, sce=True, method="elr"),
        ]
    )
    assert [name for name in summarise(table) if name in ("mixup", "elr", "gce", "sce")] == ["sce"]
