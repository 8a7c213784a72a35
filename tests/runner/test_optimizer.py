"""Muon steps every inner kernel by an orthogonalised update, SGD all the rest, and none is stepped twice."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from project.work import model
from project.work.runner import optimizer
from project.work.runner.optimizer import Muon, inner_kernels, orthogonalised


def iterate(value: float) -> float:
    """What the quintic of Newton and Schulz makes of one singular value."""
    linear, cubic, quintic = optimizer.NEWTON_SCHULZ
    for _ in range(optimizer.NEWTON_SCHULZ_STEPS):
        value = linear * value + cubic * value**3 + quintic * value**5
    return value


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_singular_values_go_through_the_quintic_and_vectors_stay() -> None:
    values = [3.0, 2.0, 0.5]
    norm = sum(value**2 for value in values) ** 0.5
    left, right = torch.linalg.qr(random(3, 3))[0], torch.linalg.qr(random(4, 4))[0]
    core, expected = torch.zeros(3, 4), torch.zeros(3, 4)
    core[range(3), range(3)] = torch.tensor(values)
    expected[range(3), range(3)] = torch.tensor([iterate(value / norm) for value in values])
    result = orthogonalised(left @ core @ right)
    assert torch.allclose(result, left @ expected @ right, atol=1e-4)


def test_the_size_of_a_gradient_does_not_matter() -> None:
    matrix = random(6, 10)
    assert torch.allclose(orthogonalised(1000 * matrix), orthogonalised(matrix), atol=1e-4)


@pytest.mark.parametrize(("shape", "tall"), [((4, 2, 3, 3), 1.0), ((36, 1, 3, 3), 2.0)])
def test_a_first_step_is_decay_and_an_orthogonal_update(shape: tuple[int, ...], tall: float) -> None:
    start, gradient = random(*shape), random(*shape) + 1
    kernel = torch.nn.Parameter(start.clone())
    kernel.grad = gradient
    Muon([kernel], lr=0.1, momentum=0.9, weight_decay=0.5).step()
    update = orthogonalised(gradient.flatten(1)).view(shape)
    assert torch.allclose(kernel.detach(), start * (1 - 0.05) - 0.1 * tall * update, atol=1e-4)


@pytest.mark.parametrize(("name", "optimizers"), [("muon", 2), ("sgd", 1), ("adamw", 1)])
def test_every_parameter_has_one_optimizer(settings: Callable, name: str, optimizers: int) -> None:
    network = model.make("narrow", 4, 1, seed=0)
    made = optimizer.make(settings(optimizer=name), network)
    stepped = [id(parameter) for each in made for group in each.param_groups for parameter in group["params"]]
    assert len(made) == optimizers
    assert sorted(stepped) == sorted(map(id, network.parameters()))


@pytest.mark.parametrize("loaded", [{}, {"torch._dynamo": torch}])
@pytest.mark.parametrize(
    ("kinds", "own"),
    [
        ((torch.optim.SGD, optimizer.SGD), {"momentum": 0.9, "nesterov": True}),
        ((torch.optim.AdamW, optimizer.AdamW), {"betas": (0.8, 0.999)}),
    ],
)
def test_an_optimizer_steps_and_keeps_its_state_as_torchs_own(
    monkeypatch: pytest.MonkeyPatch, kinds: tuple, own: dict, loaded: dict
) -> None:
    monkeypatch.setattr(optimizer, "sys", SimpleNamespace(modules=loaded))
    values = {"lr": 0.1, "weight_decay": 0.01, "fused": True} | own
    kernels, made = [torch.nn.Parameter(random(4, 3)) for _ in range(2)], []
    for kernel, kind in zip(kernels, kinds, strict=True):
        each = kind([kernel], **values)
        for step in range(4):
            kernel.grad = random(4, 3) + step
            each.step()
            each.zero_grad()
            assert kernel.grad is None
            again = kind([kernel], **values)
            again.load_state_dict(each.state_dict())
            each = again
        made.append(each.state_dict())
    assert torch.equal(*kernels)
    kept = [state.pop("state")[0] for state in made]
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())
    assert made[0] == made[1]


def test_muon_takes_the_kernels_of_all_convolutions_but_the_first() -> None:
    network = model.make("narrow", 4, 1, seed=0)
    kernels = inner_kernels(network)
    assert all(kernel.ndim == 4 for kernel in kernels)
    assert not any(kernel is network.stem[0].weight for kernel in kernels)
    assert len(kernels) == sum(parameter.ndim == 4 for parameter in network.parameters()) - 1


@pytest.mark.parametrize("overflow", [False, True])
def test_a_scaled_gradient_steps_like_a_plain_one_and_one_that_overflows_not_at_all(overflow: bool) -> None:
    plain, scaled = (torch.nn.Parameter(random(4, 2, 3, 3)) for _ in range(2))
    optimizers = [Muon([kernel], lr=0.1, momentum=0.9, weight_decay=0.5) for kernel in (plain, scaled)]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(3):
        gradient = random(4, 2, 3, 3) + step
        lost = overflow and step == 1
        plain.grad, scaled.grad = gradient.clone(), scaler.scale(gradient) * (float("inf") if lost else 1)
        before = scaled.detach().clone()
        scaler.step(optimizers[1])
        scaler.update()
        if lost:
            assert torch.equal(scaled, before)
        else:
            optimizers[0].step()
    assert torch.allclose(scaled, plain, atol=1e-5)


def test_a_scaler_asks_the_device_nothing_before_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = torch.nn.Parameter(random(4, 2, 3, 3))
    scaler = torch.amp.GradScaler("cpu")
    kernel.grad = scaler.scale(random(4, 2, 3, 3))
    monkeypatch.setattr(Tensor, "item", lambda _: pytest.fail("waited for the device"))
    scaler.step(Muon([kernel], lr=0.1, momentum=0.9, weight_decay=0.5))
