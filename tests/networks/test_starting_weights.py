"""Training starts from pretrained weights: for any channels and size, normalised as they were trained, head new."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from project.command import runs
from project.work import main, model
from project.work.classifier import MODEL_FILE, Classifier
from project.work.common import UserError
from project.work.dataset.base_dataset import Dataset
from project.work.machine.distributed import RunContext
from project.work.networks import build, library
from project.work.networks.build import Start
from project.work.settings import resolve
from project.work.settings.groups import FEATURE_MODEL, Settings
from project.work.teacher import oof

pytestmark = pytest.mark.slow  # timm takes seconds to import

TINY, VIT = "test_efficientnet", "test_vit"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of weights of two networks as timm's hub has them, with heads of 1,000 classes; random ones."""
    found = {}
    for name in (TINY, VIT):
        network = library.timm().create_model(name)
        for number, value in enumerate(network.parameters()):
            nn.init.normal_(value, 0.01, 0.1, generator=torch.Generator().manual_seed(number))
        found[name] = str(tmp_path_factory.mktemp("weights") / f"{name}.safetensors")
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, found[name])
    return found


def same_in_timm(name: str, file: str, channels: int, side: int) -> dict[int, Tensor]:
    """What timm itself makes of such a file for other classes, channels and sizes: values by a name that stays."""
    options = {"img_size": side} if name == VIT else {}
    overlay = {"file": file}
    return library.timm().create_model(
        name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=4, in_chans=channels, **options
    ).state_dict()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", [TINY, VIT])
def test_the_weights_are_those_that_timm_would_load_and_the_head_is_the_seeds(
    name: str, channels: int, files: dict[str, str]
) -> None:
    known = same_in_timm(name, files[name], channels, 64)
    made = [model.make(name, 4, channels, seed, (64, 64), Start(files[name])) for seed in (1, 2)]
    first, second = (network.state_dict() for network in made)
    head = next(key for key, value in made[0].named_parameters() if value is model.final_layer(made[0]).weight)
    heads = {head, head.replace("weight", "bias")}
    assert sorted(float(value.double().sum()) for key, value in first.items() if key not in heads) == sorted(
        float(value.double().sum()) for key, value in known.items() if value.shape[:1] != (4,)
    )
    assert all(torch.equal(first[key], second[key]) for key in first if key not in heads)
    assert not torch.equal(first[head], second[head])


def test_grey_sums_the_colours_of_the_first_convolution(files: dict[str, str]) -> None:
    three, one = (model.make(TINY, 4, channels, 0, (64, 64), Start(files[TINY])) for channels in (3, 1))
    first = [next(each for each in network.modules() if isinstance(each, nn.Conv2d)).weight for network in (three, one)]
    assert torch.allclose(first[0].sum(dim=1, keepdim=True), first[1])


def test_a_run_is_normalised_as_its_weights_were_and_leaves_a_classifier(
    prepared: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--device=cpu", "--no-amp", "--epoch=1", "--lr=.001"]
    words += ["--image-size=32", f"--model={TINY}"]
    main.main([*words, f"--weights={files[TINY]}", "--uuid=own"])
    found, config = Classifier.load(tmp_path / "base-own" / MODEL_FILE), library.configuration(TINY)
    assert found.normaliser.mean == pytest.approx((sum(config.mean) / 3,))
    assert found.normaliser.std == pytest.approx((sum(config.std) / 3,))
    assert found.shape == (1, 32, 32)
    given, random = (
        main._load(RunContext(resolve.combine(resolve.typed([*words, *more])), torch.device("cpu"))).train.normalise
        for more in ([f"--weights={files[TINY]}", "--pixel-mean=.2", "--pixel-std=.3"], [])
    )
    assert (given.mean, given.std) == ((0.2,), (0.3,))
    assert random.mean[0] == pytest.approx(0.24, abs=0.1)  # measured on the pictures


def test_resnet18_of_a_run_with_weights_is_timms(make_runner: Callable, tmp_path: Path) -> None:
    network = library.headless("resnet18")[0]
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, tmp_path / "resnet.safetensors")
    runner = make_runner(epoch=1, model="resnet18", weights=str(tmp_path / "resnet.safetensors"))
    first = runner.model.stem.part.conv1.weight
    assert torch.allclose(first, network.conv1.weight.sum(dim=1, keepdim=True))
    assert runner.classifier().model == "timm/resnet18"
    runner.selected = runner.network.state_dict()
    runner.save_classifier(tmp_path / MODEL_FILE)
    assert Classifier.load(tmp_path / MODEL_FILE).model == "timm/resnet18"


def test_what_does_not_fit_is_refused_before_pictures_are_read(
    prepared: Path, tmp_path: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("project.work.dataset.base_dataset.load", lambda *given: pytest.fail("pictures are read"))
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--device=cpu"]
    for more, said in (
        ([f"--model={VIT}", f"--weights={files[TINY]}"], "weights of another network: test_vit has cls_token"),
        ([f"--model={VIT}", "--image-size=30"], "do not divide pictures of 30 x 30; give --image-size 16 or 32"),
        (["--model=tf_eficientnet_lite0"], "timm has no such network; the nearest are tf_efficientnet_lite0"),
        (["--model=mine:wide"], "--model mine:wide: there is no module mine"),
    ):
        with pytest.raises(UserError, match=said) as refused:
            main.main([*words, *more])
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("base-*"))  # nothing is left of them


def test_runs_and_fold_models_of_other_weights_are_others(
    dataset: Dataset, files: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(Path(files[TINY]).read_bytes())
    settings = dataclasses.replace(Settings(), model=TINY, weights=str(path))
    before, planned = oof.fingerprint(settings, dataset), runs.uuid_of(settings)
    assert oof.fingerprint(settings, dataset) == before
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    assert oof.fingerprint(settings, dataset) != before
    assert runs.uuid_of(settings) != planned  # a sweep trains it anew
    assert build.origin(dataclasses.replace(Settings(), model=TINY)) is None


def test_the_installed_weights_start_a_network_of_four_channels() -> None:
    network = model.make(FEATURE_MODEL, 4, 4, 0, (64, 64), Start(None))
    assert network(torch.rand(2, 4, 64, 64)).shape == (2, 4)
    stem = network.stem.part.conv_stem.weight
    assert torch.equal(stem[:, 3], stem[:, 0])
    assert float(stem.detach().abs().max()) > 0.3  # trained, not the random ones of timm
