"""TensorBoard shows each epoch once, whatever was killed, and the settings and the result at the end."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from project.work import main
from project.work.common import UserError
from project.work.reporter import tensorboard
from project.work.reporter.result import Result
from project.work.reporter.tensorboard import TensorBoard

EPOCHS = [
    {"epoch": epoch, "train_loss": 1 / epoch, "valid_accuracy": epoch / 10, "learning_rate": 0.1, "seconds": 100.0}
    for epoch in (1, 2, 3)
]
needed = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed: pip install tensorboard"
)


def read(folder: Path) -> "object":
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / tensorboard.FOLDER)).Reload()


@needed
def test_an_epoch_is_there_once_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    TensorBoard(tmp_path).show(EPOCHS[:2])
    (before,) = (tmp_path / tensorboard.FOLDER).iterdir()
    kept = shutil.copy(before, tmp_path / "kept")
    again = TensorBoard(tmp_path)  # another process, which goes on
    again.show(EPOCHS[:2])
    again.show(EPOCHS)
    assert not before.exists()
    for killed in (False, True):
        if killed:  # before the file of the first process was removed
            shutil.copy(kept, before)
        points = read(tmp_path).Scalars("train/loss")
        assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
        assert points[1].wall_time - points[0].wall_time == pytest.approx(100, abs=5)


@needed
def test_a_finished_run_has_its_settings_and_figures(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,train_loss,valid_accuracy,seconds\n1,0.5,0.25,3\n2,0.25,0.75,3\n")
    TensorBoard(tmp_path).show(EPOCHS)
    row = {"method": "base", "epoch": 2, "mixup": False, "model": "narrow", "label_set": None, "selected_epoch": 2}
    said = TensorBoard(tmp_path).write(Result(row | {"best_test_accuracy": 0.5}, tmp_path))
    assert said == f"TensorBoard: tensorboard --logdir {tmp_path.parent}"
    found = read(tmp_path)
    assert [point.value for point in found.Scalars("valid/accuracy")] == [0.25, 0.75]
    (figure,) = found.Scalars("result/best_test_accuracy")
    assert (figure.step, figure.value) == (2, 0.5)
    assert "_hparams_/session_start_info" in found.summary_metadata
    assert b"| best_test_accuracy | 0.5 |" in found.Tensors("result/text_summary")[0].tensor_proto.string_val[0]


@needed
@pytest.mark.slow
def test_a_run_writes_it_with_the_flag_alone(prepared: Path, tmp_path: Path) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--epoch=2", "--device=cpu", "--uuid=a"]
    main.main([*words, "--tensorboard"])
    assert [point.step for point in read(tmp_path / "base-a").Scalars("valid/macro_f1")] == [1, 2]


def test_without_the_package_a_run_is_refused_before_anything_is_done(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="--tensorboard: the package tensorboard is not installed: pip install"):
        main.main([f"--dataset={prepared}", f"--output={tmp_path / 'out'}", "--tensorboard"])
    assert not (tmp_path / "out").exists()
