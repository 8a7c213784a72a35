"""A checkpoint brings a run back to the same numbers, and one that is damaged or foreign is refused."""

import dataclasses
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mixup": True, "ema": 0.9},
        {"manifold_mixup": True, "accumulation_steps": 2},
        {"recipe": "predecessor"},
        {"co_teaching": True, "co_teaching_epochs": 2, "ema": 0.9},
        {"sam": True, "mixup": True, "elr": True, "accumulation_steps": 2},
        {"label_posterior": True, "mixup": True},
    ],
    ids=[
        "base",
        "mixup with average",
        "manifold mixup with accumulation",
        "sgd",
        "co-teaching with average",
        "SAM",
        "label posterior with mixup",
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


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(make_runner: Callable) -> None:
    first, again = (make_runner(folder="run") for _ in range(2))
    first.fit()
    again.fit()
    assert again.history.rows == first.history.rows


@pytest.mark.slow
def test_a_history_that_fell_behind_its_checkpoint_is_mended(make_runner: Callable) -> None:
    runner = make_runner(folder="run")
    runner.fit()
    whole = runner.history.path.read_text()
    runner.history.path.write_text(whole[: whole.index("\n") + 1])
    make_runner(folder="run").fit()
    assert runner.history.path.read_text() == whole


@pytest.mark.slow
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


def saved(runner: BaseRunner) -> dict:
    return torch.load(runner.file.path, weights_only=True)


def spoil(runner: BaseRunner, **changes: object) -> str:
    """Why a run does not go on from its checkpoint with these values in it; None leaves one out."""
    state = {name: value for name, value in (saved(runner) | changes).items() if value is not None}
    whole = runner.file.path.read_bytes()
    torch.save(state, runner.file.path)
    with pytest.raises(UserError) as refusal:
        type(runner)(runner.context, runner.dataset, runner.file.path.parent).fit()
    runner.file.path.write_bytes(whole)
    message = str(refusal.value)
    assert message.startswith(f"{runner.file.path}: ")
    assert message.isprintable()
    assert "weights_only" not in message
    return message


@pytest.mark.slow
def test_a_checkpoint_of_a_run_with_other_settings_is_refused_by_their_names(make_runner: Callable) -> None:
    make_runner(folder="run", seed=3).fit()
    with pytest.raises(
        UserError, match=r"other settings \(epoch 2 -> 3, seed 3 -> 4\).* put its own settings\.yaml back"
    ):
        make_runner(folder="run", seed=4, epoch=3).fit()
    make_runner(folder="run", seed=3, recipe="default", uuid="another", largest_set=2.0).fit()


@pytest.mark.slow
def test_a_checkpoint_of_another_fold_is_refused_and_one_without_settings_is_not(
    make_runner: Callable, dataset: Dataset
) -> None:
    runner = make_runner(folder="run")
    runner.fit()
    other = dataclasses.replace(dataset, train=dataset.train.subset(slice(0, 100)))
    with pytest.raises(UserError, match="learns from other rows"):
        make_runner(other, folder="run").fit()
    state = saved(runner)
    torch.save({name: state[name] for name in ("states", "selected", "history", "data")}, runner.file.path)
    make_runner(folder="run").fit()  # as earlier versions wrote it


def test_a_checkpoint_with_former_names_of_settings_goes_on(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(folder="run", model=tiny_network, label_posterior=True, epoch=2)
    runner.fit()
    state = saved(runner)
    state["states"]["mixture"] = state["states"].pop("predictions")
    state["settings"] = {name.replace("label_posterior", "loss_mixture"): v for name, v in state["settings"].items()}
    torch.save(state, runner.file.path)
    again = make_runner(folder="run", model=tiny_network, label_posterior=True, epoch=2)
    again.fit()
    assert torch.equal(again.memories["predictions"].values, runner.memories["predictions"].values)
    assert again.history.rows == runner.history.rows


def test_a_checkpoint_of_another_form_is_refused_in_a_line_that_says_where(
    make_runner: Callable, tiny_network: str
) -> None:
    runner = make_runner(folder="run", model=tiny_network, elr=True)
    runner.fit()
    state = saved(runner)
    history, states, selected = state["history"], state["states"], state["selected"]
    name = next(iter(selected))
    assert "it has no states" in spoil(runner, states=5)
    assert "it has no states" in spoil(runner, states={"model": 5})
    assert "does not say what it learnt from" in spoil(runner, data=None)
    assert "it has no elr" in spoil(runner, states={key: states[key] for key in states if key != "elr"})
    assert f"selected: {name}: torch.float64" in spoil(runner, selected=selected | {name: selected[name].double()})
    assert "selected: other names" in spoil(runner, selected=None)
    narrow = states | {"margins": {"values": torch.zeros(1, 2)}}
    assert "margins: values: torch.float32 (1, 2) for torch.float32 (120, 2)" in spoil(runner, states=narrow)
    steps = {**states["optimizer0"], "state": {0: {"momentum_buffer": torch.zeros(3)}}}
    assert "optimizer0: momentum_buffer: " in spoil(runner, states=states | {"optimizer0": steps})
    rates = {**states["optimizer0"], "param_groups": [states["optimizer0"]["param_groups"][0] | {"highest_lr": "x"}]}
    assert "optimizer0: its highest_lr is not a number" in spoil(runner, states=states | {"optimizer0": rates})
    assert "no history of 1 to 2 epochs" in spoil(runner, history=[])
    assert "no history of 1 to 2 epochs" in spoil(runner, history=[*history, history[0]])
    assert "its history has other columns" in spoil(runner, history=[history[0], {"epoch": 2}])
    assert "epoch 1 of its history holds a value that is not a number" in spoil(
        runner, history=[history[0] | {"valid_loss": "0.5"}, history[1]]
    )


def test_what_is_no_checkpoint_is_refused_without_torchs_advice(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"

    def refusal() -> str:
        with pytest.raises(UserError) as refused:
            CheckpointFile(path).load(torch.device("cpu"))
        assert str(refused.value).startswith(f"{path}")
        assert "weights_only" not in str(refused.value)
        return str(refused.value)

    for thing, why in [(5, "it holds int"), ([1], "it holds list"), (torch.zeros(3), "it holds Tensor")]:
        torch.save(thing, path)
        assert why in refusal()
    torch.save({"states": torch.zeros(4)}, path)
    whole = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    members = {name: whole.read(name) for name in whole.namelist()}
    program = next(name for name in members if name.endswith("data.pkl"))
    for changed, packing, why in [
        (members[program].replace(b"K\x04", b"K\x05"), zipfile.ZIP_STORED, "16 bytes are not 5 numbers"),
        (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", zipfile.ZIP_STORED, "asks for __builtin__.byte"),
        (members[program], zipfile.ZIP_DEFLATED, "it is compressed"),
    ]:
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name, data in members.items():
                archive.writestr(name, changed if name == program else data)
        assert why in refusal()
    path.unlink()
    os.mkfifo(path)
    assert "is a named pipe" in refusal()


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
