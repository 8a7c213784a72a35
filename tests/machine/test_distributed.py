"""Several processes compute what one computes, on the same batches, and speak with one voice."""

import dataclasses
import tempfile
from pathlib import Path

import processes
import pytest
import small
import torch
import workers

from project.work import model
from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import Distributed, RunContext, joined
from project.work.runner.table import runner_class
from project.work.settings.groups import Settings

CPU = torch.device("cpu")
# Muon and normalisation over few pictures make rounding grow a hundredfold a step, more on some processors than others:
# small steps leave it small.
NORMALISED = {"model": "narrow", "learning_rate": 1e-3, "muon_learning_rate": 2e-4}
METHODS = {
    "base": {},
    "mixup": {"mixup": True},
    "manifold mixup": {"manifold_mixup": True},
    "distillation": {"distillation": True, "softmax_temperature": 3.0},
    "mixup and distillation": {"mixup": True, "distillation": True},
    "base with batch normalisation": NORMALISED,
    "manifold mixup with batch normalisation": {**NORMALISED, "manifold_mixup": True},
    "average of weights": {**NORMALISED, "ema": 0.5},
    "co-teaching": {"co_teaching": True, "co_teaching_rate": 0.3, "co_teaching_epochs": 1, "epoch": 2},
    "SAM with batch normalisation": {**NORMALISED, "sam": True, "optimizer": "sgd", "batch_size": 54, "seed": 3},
    "SAM and mixup": {"sam": True, "mixup": True},
    "label posterior and mixup": {"label_posterior": True, "mixup": True, "epoch": 2},  # trust begins with the second
}
# 108 pictures: for two processes 31, 31, 31 and 15; for three 53, 53 and 2, which leaves one process without a picture
BATCHES = {2: {"batch_size": 31}, 3: {"batch_size": 53, "accumulation_steps": 2}}


def with_soft_targets(dataset: Dataset) -> Dataset:
    random = torch.Generator().manual_seed(0)
    soft = torch.randn(len(dataset.train_keys), len(dataset.names), generator=random).softmax(dim=1)
    return dataclasses.replace(dataset, train=dataset.train.with_soft_targets(soft))


def trained(settings: Settings, dataset: Dataset, distributed: Distributed) -> dict[str, torch.Tensor]:
    """What a run computes: predictions before it, gradients of each step, and the whole state after it."""
    runner = runner_class(settings)(RunContext(settings, CPU, distributed), dataset, Path(tempfile.mkdtemp()))
    before, gradients, step = runner.predict(dataset.test), [], runner.optimizers[0].step

    def record(*arguments: object) -> None:
        parameters = [parameter.grad.flatten().clone() for parameter in runner.model.parameters()]
        gradients.append(torch.cat(parameters))
        step(*arguments)

    runner.optimizers[0].step = record
    for epoch in range(settings.epoch):
        row = runner._epoch(epoch, small.silent())
    state = torch.cat([value.flatten().float() for value in runner.network.state_dict().values()])
    seen = torch.tensor([row.train_loss, row.train_accuracy, row.valid_loss])
    return {"predictions": before, "gradients": torch.stack(gradients), "state": state, "seen": seen}


def epochs(base: Settings, path: Path) -> None:
    """An epoch or two of each method, in one process or as one of several; the first of them writes what came out."""
    model.MODELS["tiny"] = small.tiny
    torch.set_num_threads(1)
    with joined() as distributed:
        dataset = with_soft_targets(base_dataset.load(base, CPU))
        done = {}
        for name, values in METHODS.items():
            done[name] = trained(dataclasses.replace(base, **{"model": "tiny"} | values), dataset, distributed)
        if distributed.rank == 0:
            torch.save(done, path)


@pytest.fixture(scope="module", params=sorted(BATCHES))
def both(request: pytest.FixtureRequest, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:
    """What one process computes, and what several do."""
    folder = tmp_path_factory.mktemp("epochs")
    # Of some seeds a unit lies within rounding of its ReLU's corner, and its gradient is there or not.
    base = Settings(dataset=str(prepared), device="cpu", amp=False, epoch=1, seed=2, **BATCHES[request.param])
    many = workers.start(request.param, epochs, base, folder / "many.pt")
    alone = processes.fork(epochs, base, folder / "alone.pt")
    assert [processes.finish(alone), *workers.finish(many)] == [0] * (1 + request.param)
    return torch.load(folder / "alone.pt"), torch.load(folder / "many.pt")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_those_of_one_process_to_rounding(both: tuple[dict, dict], method: str) -> None:
    alone, many = (done[method]["gradients"] for done in both)
    difference = (many - alone).norm(dim=1) / alone.norm(dim=1)
    assert float(difference[0]) < 1e-5
    assert float(difference.max()) < 1e-2  # rounding grows: two pictures have a steep norm


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_picture_is_predicted_once_and_in_order(both: tuple[dict, dict], method: str) -> None:
    alone, many = (done[method]["predictions"] for done in both)
    assert many.shape == alone.shape == (40, 4)
    assert torch.allclose(many, alone, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_weights_statistics_and_history_come_out_the_same(both: tuple[dict, dict], method: str) -> None:
    alone, many = (done[method] for done in both)
    assert float((many["state"] - alone["state"]).norm() / alone["state"].norm()) < 1e-2
    assert torch.allclose(many["seen"], alone["seen"], rtol=1e-2)


@pytest.mark.parametrize(("count", "size"), [(40, 3), (2, 3), (0, 2), (7, 7), (5, 1)])
def test_shares_are_all_there_is_once_and_differ_by_one_at_most(count: int, size: int) -> None:
    shares = [range(count)[Distributed(rank, size).share(count)] for rank in range(size)]
    assert [each for share in shares for each in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
def test_a_run_says_and_reports_everything_once(prepared: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--device=cpu", "--epoch=1", "--uuid=one"]
    words += ["--distillation", "--folds=2", "--batch-size=54"]
    assert workers.finish(workers.start(2, processes._main, log, words)) == [0, 0]
    assert log.read_text().count("top-1 accuracy on the test split") == 1
    assert log.read_text().count("training 2 fold models") == 1
    assert (tmp_path / "results.csv").read_text().count("\n") == 2
    assert len(list(tmp_path.glob("oof-*/oof_logits.npz"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dataset=/nowhere"], "error: /nowhere is missing: run ./inv prepare first"),
        (
            ["--optimizer=sgd", "--learning-rate=1e38", "--batch-size=16"],
            "the loss became nan in epoch 1; try a --learning-rate below",
        ),
    ],
    ids=["known to each process", "known to all together"],
)
def test_a_refusal_is_said_once(prepared: Path, tmp_path: Path, words: list[str], said: str) -> None:
    log = tmp_path / "log"
    usual = [f"--dataset={prepared}", f"--output={tmp_path}", "--device=cpu", "--epoch=1", "--uuid=one"]
    assert workers.finish(workers.start(2, processes._main, log, [*usual, *words])) == [2, 2]
    assert log.read_text().count("error:") == log.read_text().count("\n") == 1
    assert said in log.read_text()
    assert not (tmp_path / "base-one").exists()


def fails_in_the_second(folder: Path) -> None:
    def work() -> None:
        if distributed.rank == 1:
            raise UserError("its data are missing")

    with joined() as distributed:
        try:
            distributed.all(work)
        except UserError as error:
            (folder / str(distributed.rank)).write_text(str(error))


@pytest.mark.slow
def test_what_fails_in_one_process_fails_in_all_with_the_same_words(tmp_path: Path) -> None:
    assert workers.finish(workers.start(3, fails_in_the_second, tmp_path)) == [0, 0, 0]
    assert [(tmp_path / str(rank)).read_text() for rank in range(3)] == ["its data are missing"] * 3
