"""A checkpoint brings a run back to the same numbers, and one that is damaged or foreign is refused."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.work.dataset.base_dataset import Dataset
from project.work.declaration import UserError
from project.work.runner.base_runner import BaseRunner
from project.work.runner.checkpoint import CheckpointFile
from project.work.runner.history import History


class Mischief:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.path,)


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the moment that the epoch after this one would be noted."""
    add = History.add

    def add_or_stop(history: History, row: object) -> bool:
        if len(history.rows) == epoch:
            raise KeyboardInterrupt
        return add(history, row)

    monkeypatch.setattr(History, "add", add_or_stop)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mixup": True, "ema": 0.9},
        {"manifold_mixup": True, "accumulation_steps": 2},
        {"recipe": "predecessor"},
        {"co_teaching": True, "co_teaching_epochs": 2, "ema": 0.9},
        {"sam": True, "mixup": True, "elr": True, "accumulation_steps": 2},
        {"loss_mixture": True, "mixup": True},
    ],
    ids=[
        "base",
        "mixup with average",
        "manifold mixup with accumulation",
        "sgd",
        "co-teaching with average",
        "SAM",
        "loss mixture with mixup",
    ],
)
def test_a_run_that_stopped_goes_on_to_the_very_same_weights(
    make_runner: Callable, monkeypatch: pytest.MonkeyPatch, values: dict
) -> None:
    optimizer = {"optimizer": "sgd"} if "recipe" in values else {}
    values = {"epoch": 4, "seed": 3, **values, **optimizer}
    unbroken = make_runner(**values)
    unbroken.fit()
    stopped = make_runner(folder="run", **values)
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            stopped.fit()
    resumed: BaseRunner = make_runner(folder="run", **values)
    resumed.fit()
    assert [row.valid_loss for row in resumed.history.rows] == [row.valid_loss for row in unbroken.history.rows]
    assert [row.train_loss for row in resumed.history.rows] == [row.train_loss for row in unbroken.history.rows]
    for one, other in (
        (resumed.network.state_dict(), unbroken.network.state_dict()),
        (resumed.selected, unbroken.selected),
        (resumed.trained[-1].state_dict(), unbroken.trained[-1].state_dict()),
    ):
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_a_finished_run_is_not_trained_again(make_runner: Callable) -> None:
    first, again = (make_runner(folder="run") for _ in range(2))
    first.fit()
    again.fit()
    assert again.history.rows == first.history.rows


def test_a_history_that_fell_behind_its_checkpoint_is_mended(make_runner: Callable) -> None:
    runner = make_runner(folder="run")
    runner.fit()
    whole = runner.history.path.read_text()
    runner.history.path.write_text(whole[: whole.index("\n") + 1])
    make_runner(folder="run").fit()
    assert runner.history.path.read_text() == whole


def test_a_run_does_not_go_on_with_other_data(make_runner: Callable, dataset: Dataset) -> None:
    make_runner(folder="run").fit()
    other = dataclasses.replace(dataset, fingerprint="another", names=dataset.names[:3])
    with pytest.raises(UserError, match="learnt from other data than"):
        make_runner(other, folder="run").fit()


def test_a_run_does_not_go_on_with_a_network_that_the_code_has_changed(
    make_runner: Callable, tiny_network: str
) -> None:
    make_runner(folder="run", model=tiny_network).fit()
    with pytest.raises(UserError, match="of another network than this code has"):
        make_runner(folder="run", model="narrow").fit()


def test_a_damaged_checkpoint_is_named_and_left_for_inspection(make_runner: Callable) -> None:
    runner = make_runner(folder="run")
    runner.fit()
    whole = runner.file.path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"text"):
        runner.file.path.write_bytes(data)
        with pytest.raises(UserError, match=r"checkpoint.pt: damaged .*delete its folder to begin again"):
            make_runner(folder="run").fit()
        assert runner.file.path.read_bytes() == data


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "checkpoint.pt"
    for write in (
        lambda: torch.save(Mischief(trace), path),
        lambda: path.write_bytes(pickle.dumps(Mischief(trace), 2)),
    ):
        write()
        with pytest.raises(UserError, match="damaged"):
            CheckpointFile(path).load(torch.device("cpu"))
    assert not trace.exists()


def test_what_a_killed_writer_left_is_cleared_and_the_checkpoint_kept(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "checkpoint.pt")
    file.save({"epoch": 1})
    (tmp_path / ".checkpoint.pt.4711").write_bytes(b"half")
    assert file.load(torch.device("cpu")) == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
