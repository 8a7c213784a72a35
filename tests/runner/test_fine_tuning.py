"""Which stages learn, how fast each layer does, and how long gradients may be."""

import copy
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from project.work import model
from project.work.common import UserError
from project.work.runner import fine_tuning, optimizer


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def highest(optimizers: list[torch.optim.Optimizer]) -> dict[int, float]:
    """The highest learning rate of each parameter, by its id; each occurs in one group."""
    groups = [group for each in optimizers for group in each.param_groups]
    found = {id(parameter): group["highest_lr"] for group in groups for parameter in group["params"]}
    assert len(found) == sum(len(group["params"]) for group in groups)
    return found


@pytest.mark.parametrize("name", ["muon", "sgd", "adamw"])
def test_stem_body_and_head_learn_by_their_factors(settings: Callable, name: str) -> None:
    network = model.make("narrow", 4, 1, seed=0)
    asked = settings(optimizer=name, learning_rate=0.2, muon_learning_rate=0.02, layer_factors="0.01,0.1,1")
    rates = highest(optimizer.make(asked, network))
    inner = 0.02 if name == "muon" else 0.2
    assert rates.keys() == set(map(id, network.parameters()))
    assert rates[id(network.stem[0].weight)] == pytest.approx(0.002)
    assert rates[id(network.layer3[0].conv1.weight)] == pytest.approx(0.1 * inner)
    assert rates[id(network.layer3[0].bn1.weight)] == pytest.approx(0.02)
    assert rates[id(model.final_layer(network).weight)] == pytest.approx(0.2)


def test_frozen_stages_compute_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = (model.make("narrow", 4, 1, seed=0) for _ in range(2))
    fine_tuning.freeze(parts, "2")
    fine_tuning.in_parts(parts)
    monkeypatch.setattr(fine_tuning, "FEW", 3 * 16 * 16)
    counts: list[int] = []
    parts.stem[0].register_forward_hook(lambda _, given, __: counts.append(len(given[0])))
    images = random(7, 1, 16, 16)
    assert torch.allclose(copy.deepcopy(parts).eval()(images), whole.eval()(images), atol=1e-5)
    fine_tuning.train(parts)
    assert len(parts(images)) == 7
    assert counts[-3:] == [3, 3, 1]


def test_a_network_in_one_piece_has_its_last_layer_for_a_head(settings: Callable) -> None:
    body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 4))
    network = nn.Sequential(OrderedDict(stem=nn.Identity(), layer1=body, head=nn.Identity()))
    asked = settings(optimizer="sgd", learning_rate=1.0, layer_factors="0.01,0.1,1")
    rates = highest(optimizer.make(asked, network))
    assert [rates[id(body[at].weight)] for at in (0, 2)] == [0.1, 1.0]
    with pytest.raises(UserError, match="--freeze layer1: then nothing learns"):
        fine_tuning.freeze(network, "layer1")


def test_layer_decay_shrinks_the_rate_from_the_head_down(settings: Callable) -> None:
    network = model.make("narrow", 4, 1, seed=0)
    rates = highest(optimizer.make(settings(optimizer="sgd", learning_rate=1.0, layer_decay=0.5), network))
    blocks = model.blocks(network)
    found = [rates[id(block[0])] for block in blocks]
    assert found == [0.5 ** (len(blocks) - 1 - at) for at in range(len(blocks))]
    assert rates.keys() == set(map(id, network.parameters()))


def test_the_rate_that_a_run_notes_is_that_of_its_fastest_layer(make_runner: Callable, tiny_network: str) -> None:
    runner = make_runner(model=tiny_network, epoch=1, schedule="multistep", optimizer="sgd", layer_factors="0.1,0.1,1")
    assert runner.fit().rows[0].learning_rate == 0.1  # of four steps none is in the last fifth


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_frozen_stages_stay_to_the_bit_with_their_statistics(make_runner: Callable, name: str) -> None:
    runner = make_runner(freeze="layer2", epoch=1, optimizer=name, learning_rate=0.01, ema=0.9)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    calls: list[bool] = []
    runner.model.stem.register_forward_hook(lambda _, __, output: calls.append(output.requires_grad))
    runner.fit()
    same = {key for key, value in runner.model.state_dict().items() if torch.equal(value, before[key])}
    fixed = {key for key in before if key.startswith(("stem.", "layer1.", "layer2."))}
    assert fixed <= same
    assert calls  # no gradient is computed for them
    assert not any(calls)
    learnt = {key for key in before if key.startswith(("layer3.", "layer4.", "head."))}
    assert not {key for key in learnt if key.endswith(("weight", "running_mean"))} & same


def test_a_count_freezes_as_many_stages_as_it_says() -> None:
    for stages in ("layer1", "2", "-4"):
        network = model.make("narrow", 4, 1, seed=0)
        fine_tuning.freeze(network, stages)
        assert [fine_tuning.frozen(stage) for stage in network] == [True, True, False, False, False, False]


@pytest.mark.parametrize("stages", ["layer9", "6"])
def test_a_stage_that_is_not_there_is_refused_with_those_that_are(stages: str) -> None:
    with pytest.raises(UserError, match=r"stem, layer1, layer2, layer3, layer4, head; .* from 1 to 5"):
        fine_tuning.freeze(model.make("narrow", 4, 1, seed=0), stages)


def test_adamw_shrinks_kernels_and_leaves_norms_biases_and_embeddings(settings: Callable) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    network.register_parameter("positions", nn.Parameter(random(1, 3, 2)))
    (adamw,) = optimizer.make(settings(optimizer="adamw", weight_decay=0.5), network)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.set_rates([adamw], 0.1)
    adamw.step()
    shrunk = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert shrunk == {"0.weight", "3.weight"}
    assert torch.allclose(network[3].weight, before["3.weight"] * (1 - 0.1 * 0.1 * 0.5))


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_are_shortened_together_whatever_a_scaler_made_of_them(scaled: bool) -> None:
    parameters = [nn.Parameter(torch.zeros(1, 1, 1, 1)), nn.Parameter(torch.zeros(1))]
    network = nn.ParameterList(parameters)
    optimizers = [optimizer.Muon([parameters[0]], 0.1, 0.9, 0.0), optimizer.SGD([parameters[1]], lr=1.0, fused=True)]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
    parameters[0].grad, parameters[1].grad = (scaler.scale(torch.full_like(each, value))
                                              for each, value in zip(parameters, (3.0, 4.0), strict=True))  # fmt: skip
    fine_tuning.clip([network], optimizers, scaler, 1.0)
    assert [float(each.grad) for each in parameters] == pytest.approx([0.6, 0.8], abs=1e-5)
    for each in optimizers:
        scaler.step(each)
    assert parameters[1].item() == pytest.approx(-0.8, abs=1e-5)
    fine_tuning.clip([network], optimizers, torch.amp.GradScaler("cpu", enabled=False), 5.0)  # short enough
    assert [float(each.grad) for each in parameters] == pytest.approx([0.6, 0.8], abs=1e-5)


@pytest.mark.parametrize("lost", [float("inf"), float("nan")])
def test_an_overflow_spoils_no_layer_whose_own_gradients_are_finite(lost: float) -> None:
    parameters = [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))]
    optimizers = [optimizer.SGD([each], lr=1.0, fused=True) for each in parameters]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for each, value in zip(parameters, (lost, 1.0), strict=True):
        each.grad = scaler.scale(torch.full_like(each, value))
    fine_tuning.clip([nn.ParameterList(parameters)], optimizers, scaler, 1.0)
    for each in optimizers:
        scaler.step(each)
    assert [each.item() for each in parameters] == [1.0, 1.0]


def test_clipping_asks_the_device_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(2, 2)
    sgd, scaler = optimizer.SGD(network.parameters(), lr=1.0, fused=True), torch.amp.GradScaler("cpu")
    for parameter in network.parameters():
        parameter.grad = scaler.scale(torch.ones_like(parameter))
    for name in ("item", "__bool__", "__float__", "tolist"):
        monkeypatch.setattr(Tensor, name, lambda *_: pytest.fail("waited for the device"))
    fine_tuning.clip([network], [sgd], scaler, 1.0)
    scaler.step(sgd)


@pytest.mark.parametrize("methods", [{}, {"sam": True}, {"co_teaching": True, "co_teaching_rate": 0.1}])
def test_every_step_of_a_run_is_clipped(make_runner: Callable, tiny_network: str, methods: dict) -> None:
    runner = make_runner(model=tiny_network, epoch=1, optimizer="sgd", clip_norm=1e-3, **methods)
    norms: list[float] = []
    for network, each in zip(runner.trained, runner.optimizers, strict=True):

        def note(*_: object, network: nn.Module = network) -> None:
            norms.append(float(nn.utils.get_total_norm([each.grad for each in network.parameters()])))

        each.register_step_pre_hook(note)
    runner.fit()
    assert len(norms) == runner.steps * len(runner.trained)
    assert norms == pytest.approx([1e-3] * len(norms), rel=1e-2)


def test_a_run_with_all_of_it_goes_on_to_the_numbers_of_an_unbroken_one(
    make_runner: Callable, tiny_network: str
) -> None:
    asked = {
        "model": tiny_network,
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "schedule": "cosine",
        "warm_up": 0.25,
        "clip_norm": 1.0,
    }
    asked |= {"freeze": "stem", "layer_decay": 0.5, "epoch": 2}
    whole = make_runner(**asked)
    whole.fit()

    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        make_runner(folder="broken", **asked).fit(stop)
    again = make_runner(folder="broken", **asked)
    again.fit()
    assert len(again.history.rows) == 2
    assert all(torch.equal(*pair) for pair in zip(again.model.parameters(), whole.model.parameters(), strict=True))
