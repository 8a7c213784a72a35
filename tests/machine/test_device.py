"""Speed or the same numbers every time: what is chosen for which device, and that compiling changes no result."""

import dataclasses
import shutil
from collections.abc import Callable

import pytest
import torch
from torch import nn

from project.work.machine import device
from project.work.machine.device import COMPILE_FROM, Choices, Facts, choose
from project.work.settings.groups import Settings

GPU = Facts("cuda", triton=True)
LONG = COMPILE_FROM


@pytest.mark.parametrize("kind", ["cpu", "mps"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_only_cuda_is_made_fast_or_deterministic(kind: str, deterministic: bool) -> None:
    settings = Settings(deterministic=deterministic)
    assert choose(settings, Facts(kind, triton=True), LONG) == Choices(False, False, False, False)


def test_on_cuda_it_is_speed_unless_the_same_numbers_are_asked_for() -> None:
    assert choose(Settings(), GPU, 1) == Choices(deterministic=False, benchmark=True, tensor_float=True, compiled=False)
    exact = choose(Settings(deterministic=True), GPU, 1)
    assert exact == Choices(deterministic=True, benchmark=False, tensor_float=False, compiled=False)


def test_compiling_is_for_long_runs_of_one_process_with_triton_unless_it_is_asked_for() -> None:
    assert choose(Settings(), GPU, LONG).compiled
    assert not choose(Settings(), GPU, LONG - 1).compiled
    assert not choose(Settings(), GPU, LONG, processes=2).compiled
    assert not choose(Settings(), dataclasses.replace(GPU, triton=False), LONG).compiled
    assert not choose(Settings(compile=False), GPU, LONG).compiled
    assert choose(Settings(compile=True), Facts("cpu", triton=False), 1).compiled


def test_what_is_chosen_is_set_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for on in (True, False):
        device.apply(Choices(on, not on, not on, False), nn.Sequential())
        assert torch.are_deterministic_algorithms_enabled() is on
        assert torch.backends.cudnn.benchmark is not on
        assert torch.get_float32_matmul_precision() == ("highest" if on else "high")
        assert device.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    device.apply(Choices(False, False, False, False), nn.Sequential())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.parametrize("method", ["manifold_mixup"])
def test_a_compiled_network_learns_the_same_and_keeps_the_names_of_its_state(
    make_runner: Callable, tiny_network: str, method: str
) -> None:
    usual = {"model": tiny_network, "optimizer": "sgd", "epoch": 1, "batch_size": 108, method: True}
    plain, compiled = make_runner(**usual), make_runner(**usual, compile=True)
    plain.fit()
    compiled.fit()
    states = plain.model.state_dict(), compiled.model.state_dict()
    assert all(stage._compiled_call_impl is not None for stage in compiled.model)
    assert list(states[0]) == list(states[1])
    for one, other in zip(*(state.values() for state in states), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
