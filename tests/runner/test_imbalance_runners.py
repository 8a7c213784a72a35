"""Focal loss and logit adjustment by hand; what a sampler, class weights and --hard change in training."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from project.work import main
from project.work.common import UserError
from project.work.dataset.base_dataset import Batch, Dataset
from project.work.labels.naming import unpacked
from project.work.runner.focal_runner import focal_loss
from project.work.runner.hard_runner import with_repeats
from project.work.runner.history import RowMemory

# Probabilities 1/2, 1/4, 1/4 and 1/8, 1/8, 3/4.
LOGITS = torch.tensor([[math.log(2), 0.0, 0.0], [0.0, 0.0, math.log(6)]])
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])


def test_focal_loss_by_hand() -> None:
    # gamma 2: (1/2)^2 log 2 = 0.173287 and (7/8)^2 log 8 = 1.592073; the mean is 0.882680.
    assert focal_loss(LOGITS, TARGETS, 2.0).item() == pytest.approx(0.882680, abs=1e-6)
    cross_entropy = torch.nn.functional.cross_entropy(LOGITS, TARGETS).item()
    assert focal_loss(LOGITS, TARGETS, 0.0).item() == pytest.approx(cross_entropy)
    sure = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    focal_loss(sure, TARGETS[:1], 0.5).backward()  # the power's slope is infinite at 0
    assert torch.isfinite(sure.grad).all()


def few(dataset: Dataset, label: int = 0, left: int = 9) -> Dataset:
    """The data set with so many training rows of one class."""
    labels = dataset.train.labels
    keep = (labels != label) | ((labels == label).cumsum(0) <= left)
    return dataclasses.replace(dataset, train=dataset.train.subset(np.flatnonzero(keep)))


def test_logit_adjustment_by_hand(make_runner: Callable, dataset: Dataset) -> None:
    data = few(dataset)
    runner = make_runner(data, logit_adjustment=True, logit_adjustment_tau=2.0, label_smoothing=0.0)
    shares = torch.tensor([9, 27, 27, 27]) / 90
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    batch = Batch(torch.zeros(5, 1, 1, 1), torch.eye(4)[[0, 1, 2, 3, 0]], torch.arange(5))
    weighted = logits.exp() * shares**2
    by_hand = -(weighted / weighted.sum(dim=1, keepdim=True)).log()[torch.arange(5), [0, 1, 2, 3, 0]].mean()
    torch.testing.assert_close(runner.loss(logits, batch), by_hand)


def test_evaluation_is_on_plain_logits(make_runner: Callable, dataset: Dataset, tiny_network: str) -> None:
    runner = make_runner(few(dataset), logit_adjustment=True, model=tiny_network)
    runner.model.eval()
    batch = next(dataset.valid.batches(12))
    torch.testing.assert_close(runner.predict(dataset.valid), runner.model(batch.images))


def test_an_epoch_of_a_sampler_is_as_long_and_shows_what_it_says(
    make_runner: Callable, dataset: Dataset, tiny_network: str
) -> None:
    runner = make_runner(few(dataset), sampler="balanced", model=tiny_network, epoch=4)
    seen: list[torch.Tensor] = []
    losses = runner.losses

    def noting(batch: Batch) -> object:
        seen.append(batch.rows)
        return losses(batch)

    runner.losses = noting
    runner.fit()
    rows = torch.cat(seen)
    assert len(rows) == 4 * 90
    counts = torch.bincount(dataset.train.records.labels[rows])
    assert counts.tolist() == [92, 92, 88, 88]  # 90 rows by 4 classes: 23, 23, 22, 22
    assert math.isfinite(runner.history.rows[-1].train_loss)


@pytest.mark.parametrize(
    "method", [{"sampler": "balanced", "label_posterior": True}, {"sampler": "sqrt", "mixup": True, "sam": True}]
)
def test_a_sampled_run_resumes_to_the_bit(
    make_runner: Callable, dataset: Dataset, tiny_network: str, method: dict
) -> None:
    values = {"model": tiny_network, "epoch": 3, **method}
    data = few(dataset)
    whole = make_runner(data, folder="whole", **values)
    whole.fit()
    broken = make_runner(data, folder="broken", **values)
    with pytest.raises(ZeroDivisionError):
        broken.fit(lambda: 1 // (2 - len(broken.history.rows)))
    again = make_runner(data, folder="broken", **values)
    again.fit()
    for name, memory in whole.memories.items():
        assert torch.equal(memory.values, again.memories[name].values)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])


def test_class_weights_are_what_each_row_counts(make_runner: Callable, dataset: Dataset) -> None:
    runner = make_runner(few(dataset), class_weight="inverse")
    batch = next(runner.learnt.batches(90))
    sums = torch.zeros(4).index_add_(0, batch.targets.argmax(dim=1), batch.weights)
    torch.testing.assert_close(sums, torch.full((4,), 90 / 4))
    assert runner.dataset.train.records.weights is None  # of what is reported nothing changes


class Two:
    """Two processes, of which this is one; the other has changed rows 1 and 2."""

    size = 2

    def __init__(self, others: list[torch.Tensor]) -> None:
        self.others = others

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.others.pop(0)


@pytest.mark.parametrize(("sums", "expected"), [(False, [1.0, 3.0, 4.0, 0.0]), (True, [1.0, 6.0, 4.0, 0.0])])
def test_of_a_row_that_two_processes_changed_the_mean_is_remembered_or_the_sum(
    sums: bool, expected: list[float]
) -> None:
    memory = RowMemory(4, 1, device=torch.device("cpu"), sums=sums)
    memory.values[:2] += torch.tensor([[1.0], [2.0]])
    memory.end_epoch(Two([torch.tensor([[0.0], [4], [4], [0]]), torch.tensor([0.0, 1, 1, 0])]))  # type: ignore[arg-type]
    assert memory.values[:, 0].tolist() == expected


def test_hard_rows_are_drawn_so_many_times_more_often() -> None:
    hard = torch.zeros(100, dtype=torch.bool)
    hard[:10] = True
    times = torch.zeros(100)
    for seed in range(200):
        order = with_repeats(hard, 3, torch.Generator().manual_seed(seed))
        assert len(order) == 100
        times += torch.bincount(order, minlength=100)
    # 130 places, of which 100 are drawn: 4/1.3 times a hard row, 1/1.3 times another.
    assert float(times[:10].mean()) / 200 == pytest.approx(4 / 1.3, rel=0.05)
    assert float(times[10:].mean()) / 200 == pytest.approx(1 / 1.3, rel=0.05)


def audit_of(dataset: Dataset, path: Path, flagged: list[int]) -> Path:
    """An audit.csv of all rows that flags some."""
    labels = dataset.train.records.labels.numpy()
    marks = np.isin(np.arange(len(labels)), flagged).astype(int)
    columns = {"key_id": unpacked(dataset.train_keys), "given_label": labels, "suggested_label": labels}
    pd.DataFrame(columns | {"trust": 0.9, "flagged": marks}).to_csv(path, index=False)
    return path


def test_confidently_wrong_rows_are_repeated_but_for_those_that_the_audit_flags(
    make_runner: Callable, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = dataset.train.rows.tolist()
    file = audit_of(dataset, tmp_path / "audit.csv", rows[:2])
    runner = make_runner(hard=2, audit_file=str(file), epoch=1)
    labels = dataset.train.records.labels
    some = torch.tensor(rows[:5])
    logits = torch.full((5, 4), 0.0)
    logits[torch.arange(5), (labels[some] + 1) % 4] = 5.0  # surely another class
    logits[4] = 0.1  # unsure
    runner.observe(logits, Batch(torch.zeros(5, 1, 1, 1), torch.eye(4)[labels[some]], some))
    order = runner.order()
    assert (runner.repeated, runner.spared) == (2, 2)
    again = dataset.train.rows[order].tolist()
    assert len(again) == 108
    assert max(again.count(row) for row in rows[:2]) <= 1
    assert {row for row in rows if again.count(row) > 1} <= {rows[2], rows[3]}
    runner.fit()
    said = capsys.readouterr().out
    assert said.startswith("--hard 2: in the last epoch 2 confidently wrong rows were repeated; 2 more were spared, as")


@pytest.mark.slow
def test_hard_goes_by_the_last_audit_of_the_data_set_or_is_refused(
    dataset: Dataset, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--uuid=h", "--epoch=1", "--device=cpu", "--hard=1"]
    with pytest.raises(UserError, match=r"--hard 1: there is no audit of .*lines, to tell hard labels from wrong ones"):
        main.main(words)
    for name, of in (("audit-a", str(prepared)), ("audit-b", "another")):
        (tmp_path / name).mkdir()
        audit_of(dataset, tmp_path / name / "audit.csv", [])
        (tmp_path / name / "audit.json").write_text(f'{{"dataset": "{of}"}}')
    main.main(words)
    assert f"0 more were spared, as {tmp_path}/audit-a/audit.csv flags them" in capsys.readouterr().out


def test_an_audit_of_other_labels_is_refused(make_runner: Callable, dataset: Dataset, tmp_path: Path) -> None:
    records = dataclasses.replace(dataset.train.records, labels=(dataset.train.records.labels + 1) % 4)
    other = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, records=records))
    file = audit_of(other, tmp_path / "audit.csv", [])
    with pytest.raises(UserError, match="108 of 108 training rows have another label here than when it was made"):
        make_runner(hard=1, audit_file=str(file))


@pytest.mark.slow
def test_class_weights_help_a_rare_class(make_runner: Callable, dataset: Dataset, tiny_network: str) -> None:
    """Of lines on noise, 4 of one class against 27 of the others."""
    data = few(dataset, label=0, left=4)

    def recall(**values: object) -> float:
        runner = make_runner(data, model=tiny_network, epoch=12, augment="none", seed=1, **values)
        runner.fit()
        test = dataset.test
        said = runner.predict(test).argmax(dim=1)
        return float((said[test.labels == 0] == 0).float().mean())

    plain = recall()
    assert recall(class_weight="inverse") > plain
    assert recall(logit_adjustment=True) > plain
