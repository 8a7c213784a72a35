"""The vote: each model learns from one fold alone, and only those that did not learn from a row judge it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from project.work.audit.find import votes
from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import RunContext
from project.work.runner.base_runner import BaseRunner
from project.work.teacher import oof

pytestmark = pytest.mark.slow


def test_votes_are_the_disagreements_of_models_that_did_not_learn_from_a_row(
    settings: Callable, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt, said = [], []
    predict = BaseRunner.predict

    def watch(runner: BaseRunner, split) -> torch.Tensor:
        logits = predict(runner, split)
        if len(runner.history.rows) == runner.settings.epoch:
            learnt.append(set(runner.dataset.train.rows.tolist()))
            said.append(dict(zip(split.rows.tolist(), logits.argmax(dim=1).tolist(), strict=True)))
        return logits

    monkeypatch.setattr(BaseRunner, "predict", watch)
    teacher = oof.audit_settings(settings(folds=3, epoch=1, batch_size=16))
    found = votes.against(RunContext(teacher, torch.device("cpu")), dataset, tmp_path / "vote")
    parts = oof.parts(teacher, dataset)
    assert [len(rows) for rows in learnt[::2]] == np.bincount(parts).tolist()
    labels = dataset.train.records.labels.tolist()
    for row, label in enumerate(labels):
        voters = [rows[row] for rows, own in zip(said, learnt, strict=True) if row in rows and row not in own]
        assert len(voters) == (3 if row in dataset.valid.rows.tolist() else 2)
        assert found[row] == sum(vote != label for vote in voters)
