"""--profile and --gradients say what is true of a run, write it into the run folder, and change nothing in it."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.work import main
from project.work.machine.distributed import RunContext
from project.work.runner import watching
from project.work.runner.table import runner_class


@pytest.fixture
def watched(settings: Callable, dataset: object, tiny_network: str, tmp_path: Path) -> Callable:
    """Makes a runner that is looked into, in a folder of that name."""

    def make(folder: str, **values: object) -> object:
        wanted = settings(model=tiny_network, **values)
        (tmp_path / folder).mkdir(exist_ok=True)
        kind = watching.watched(runner_class(wanted), wanted)
        return kind(RunContext(wanted, torch.device("cpu")), dataset, tmp_path / folder)

    return make


def weights(runner: object) -> torch.Tensor:
    return torch.cat([value.flatten() for value in runner.network.state_dict().values()])


@pytest.mark.parametrize("method", [{}, {"sam": True, "mixup": True}])
def test_a_run_that_is_looked_into_gives_the_same_numbers(watched: Callable, make_runner: Callable, method: dict,
                                                          tiny_network: str) -> None:  # fmt: skip
    plain = make_runner(model=tiny_network, **method)
    plain.fit()
    looked = watched("looked", profile=2, gradients=True, **method)
    looked.fit()
    assert torch.equal(weights(plain), weights(looked))


def test_without_the_settings_a_runner_is_itself(settings: Callable) -> None:
    kind = runner_class(settings(mixup=True))
    assert watching.watched(kind, settings(mixup=True)) is kind


def test_a_profile_says_the_share_of_each_part_and_leaves_a_trace(
    watched: Callable, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    watched("p", profile=4, augment="affine").fit()
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("4 steps of 32 pictures, ")
    shares = {word.split()[0]: int(word.split()[1][:-1]) for word in said[0].split(": ")[1].split(", ")}
    assert shares.keys() == set(watching.PARTS)
    assert 97 <= sum(shares.values()) <= 103
    assert shares["forward"] > 0
    assert shares["backward"] > 0
    assert (tmp_path / "p" / "profile.txt").read_text().splitlines() == said[:2]
    with gzip.open(tmp_path / "p" / "profile.json.gz") as file:
        names = [event.get("name") for event in json.load(file)["traceEvents"]]
    assert names.count("step") == 4 * (names.count("step") // 4) > 0
    assert {"reading", "augmenting", "forward", "backward"} <= set(names)


def test_a_run_too_short_to_trace_says_so(watched: Callable, capsys: pytest.CaptureFixture) -> None:
    watched("p", profile=4, epoch=1, batch_size=64).fit()
    assert "--profile: the run had 2 steps, but the first 3 are not traced" in capsys.readouterr().out


def test_the_advice_is_of_the_part_that_takes_much() -> None:
    time = dict.fromkeys(watching.PARTS, 1.0)
    assert "\nreading takes 60%: training waits for pictures" in watching.said(time | {"reading": 6.0}, 2, 8)
    assert "\nstep takes 43%: the optimizer" in watching.said(time | {"step": 3.0}, 2, 8)
    assert "\nthe network is what takes the time, as it should" in watching.said(time | {"backward": 5.0}, 2, 8)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_gradients_by_hand(watched: Callable, tmp_path: Path) -> None:
    """One step of SGD without momentum: the update is rate x gradient."""
    runner = watched("g", gradients=True, epoch=1, batch_size=108, optimizer="sgd", momentum=0.0, weight_decay=0.0,
                     augment="none", schedule="cosine")  # fmt: skip
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.fit()
    (head,) = [row for row in rows(tmp_path / "g" / "gradients.csv") if row["layer"] == "head.1"]
    pairs = [(before[f"head.1.{name}"], dict(runner.model.named_parameters())[f"head.1.{name}"]) for name in
             ("weight", "bias")]  # fmt: skip
    moved = torch.cat([(now - old).detach().flatten() for old, now in pairs]).norm()
    size = torch.cat([old.flatten() for old, _ in pairs]).norm()
    assert float(head["update_ratio"]) == pytest.approx(moved.item() / size.item(), rel=1e-4)
    assert float(head["gradient_norm"]) == pytest.approx(moved.item() / 0.1, rel=1e-3)


def test_a_resumed_run_keeps_the_epochs_before_and_draws_all(watched: Callable, tmp_path: Path) -> None:
    first = watched("g", gradients=True, epoch=3)
    with pytest.raises(ZeroDivisionError):
        first.fit(lambda: 1 // (2 - len(first.history.rows)))
    watched("g", gradients=True, epoch=3).fit()
    found = rows(tmp_path / "g" / "gradients.csv")
    assert [row["epoch"] for row in found] == [str(epoch) for epoch in (1, 2, 3) for _ in range(4)]
    assert [row["layer"] for row in found[:4]] == ["stem.0", "layer1.0", "layer2.0", "head.1"]
    assert (tmp_path / "g" / "gradients.png").read_bytes().startswith(b"\x89PNG")


def test_a_layer_without_gradients_or_far_apart_is_named() -> None:
    layers = [{"layer": f"layer{number}", "gradient_norm": 1.0, "update_ratio": 1e-3} for number in range(4)]
    assert watching.warnings(layers) == []
    still = [layers[0] | {"gradient_norm": 0.0, "update_ratio": 0.0}, *layers[1:]]
    assert watching.warnings(still) == ["gradients are 0 in layer0: these layers learn nothing"]
    endless = [*layers[:3], layers[3] | {"gradient_norm": float("nan")}]
    assert watching.warnings(endless) == ["gradients are not finite in layer3: try a lower --learning-rate"]
    apart = [layers[0] | {"update_ratio": 2e-6}, *layers[1:3], layers[3] | {"update_ratio": 4e-3}]
    assert watching.warnings(apart) == [
        "updates are 2,000 times as large beside the weights in layer3 (4.0e-03) as in layer0 (2.0e-06)"
    ]


def test_a_zero_gradient_is_told_and_what_is_frozen_is_left_out(
    watched: Callable, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    runner = watched("g", gradients=True, epoch=1)
    runner.model.layer2.register_forward_hook(lambda module, inputs, output: output.detach())
    runner.model.stem.requires_grad_(False)
    runner.fit()
    assert {row["layer"] for row in rows(tmp_path / "g" / "gradients.csv")} == {"layer1.0", "layer2.0", "head.1"}
    assert "epoch 1: gradients are 0 in layer1.0, layer2.0: these layers learn nothing" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_by_command_is_resumable_whether_looked_into_or_not(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--uuid=w", "--epoch=1", "--device=cpu"]
    main.main([*words, "--gradients"])
    assert (tmp_path / "base-w" / "gradients.csv").exists()
    main.main(words)  # it is finished, and the same run
    row = json.loads((tmp_path / "base-w" / "result.json").read_text())
    assert not {"profile", "gradients", "overfit"} & row.keys()
