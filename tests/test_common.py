"""Where a setting's value comes from: command line over settings.yaml over recipe over declared default."""

from pathlib import Path

import pytest
import torch

from project.work import common
from project.work.common import UserError, derive_seed, generator
from project.work.settings import resolve
from project.work.settings.groups import Settings
from project.work.settings.resolve import combine, differences, parse, read_yaml


@pytest.fixture
def own_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's settings.yaml, absent until the test writes it."""
    path = tmp_path / "settings.yaml"
    monkeypatch.setattr(common, "DEFAULTS_FILE", path)
    return path


def test_nothing_given_is_the_declared_default(own_defaults: Path) -> None:
    assert parse([]) == Settings()


def test_the_promised_defaults_hold(own_defaults: Path) -> None:
    settings = parse([])
    assert (settings.batch_size, settings.epoch, settings.valid_rate) == (128, 50, 0.1)
    assert (settings.momentum, settings.weight_decay, settings.mixup_alpha) == (0.9, 1e-4, 0.2)
    assert (settings.soft_loss_weight, settings.softmax_temperature) == (1.0, 1.0)


def test_settings_yaml_wins_over_defaults_and_the_command_line_over_both(own_defaults: Path) -> None:
    own_defaults.write_text("batch-size: 256\nepoch: 7\n")
    settings = parse(["--epoch", "9"])
    assert (settings.batch_size, settings.epoch) == (256, 9)


def test_the_predecessors_recipe_is_its_exact_values() -> None:
    settings = combine({"recipe": "predecessor"})
    assert settings.model == "resnet18"
    assert (settings.batch_size, settings.epoch, settings.accumulation_steps) == (128, 50, 1)
    assert (settings.learning_rate, settings.momentum, settings.weight_decay) == (0.1, 0.9, 1e-4)
    assert (settings.schedule, settings.augment, settings.label_smoothing, settings.ema) == ("multistep", "flip", 0, 0)
    assert (settings.pixel_mean, settings.pixel_std) == (0.1093, 0.2921)
    assert (settings.amp, settings.valid_rate) == (False, 0.1)


def test_a_recipe_gives_way_to_what_is_given_beside_it(own_defaults: Path) -> None:
    own_defaults.write_text("recipe: predecessor\nepoch: 7\n")
    settings = parse(["--lr", "0.02"])
    assert (settings.model, settings.epoch, settings.learning_rate) == ("resnet18", 7, 0.02)


def test_a_recipe_on_the_command_line_holds_whole_over_settings_yaml(own_defaults: Path) -> None:
    own_defaults.write_text(
        "batch_size: 64\nmodel: resnet18-small\nema: 0.9\npixel_mean: 0.5\npixel_std: 0.5\nvalid_rate: 0.2\n"
    )
    settings = parse(["--recipe", "predecessor", "--epoch", "3"])
    assert settings == combine({"recipe": "predecessor", "epoch": 3, "valid_rate": 0.2})
    assert parse(["--recipe", "default"]) == combine({"valid_rate": 0.2})


def test_a_recipe_brings_its_methods_and_another_takes_them_away(own_defaults: Path) -> None:
    own_defaults.write_text("recipe: robust\n")
    assert parse([]).label_posterior
    assert parse(["--recipe", "default"]) == Settings()
    assert not parse(["--recipe", "predecessor"]).label_posterior
    assert not parse(["--no-label-posterior"]).label_posterior


@pytest.mark.parametrize("name", ["--learning-rate", "--lr"])
def test_the_learning_rate_has_two_names(own_defaults: Path, name: str) -> None:
    assert parse([name, "0.03"]).learning_rate == 0.03


def test_both_mixups_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="choose one"):
        combine({"mixup": True, "manifold_mixup": True})


def test_what_is_given_to_a_method_that_is_off_is_known() -> None:
    given = {"elr": True, "elr_weight": 2.0, "mixup_alpha": 0.4, "sam_radius": 0.1, "oof_logits": "x"}
    assert set(resolve.idle(resolve.combine(given))) == {"mixup_alpha", "sam_radius", "oof_logits"}
    assert resolve.idle(resolve.combine(given, {"manifold_mixup": True, "sam": True, "clean": "drop"})) == []


def test_half_a_normaliser_is_refused() -> None:
    with pytest.raises(UserError, match="give both or neither"):
        combine({"pixel_mean": "0.1"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bach_size: 256", "bach_size is not a setting; did you mean batch_size?"),
        ("epoch: .inf", "--epoch: inf is not a whole number"),
        ("learning_rate: .nan", "--learning-rate: nan is not a number"),
        ("batch_size:", "--batch-size: None is not a whole number"),
        ("batch_size", "needs lines such as batch_size: 256"),
        ("- 1\n- 2", "needs lines such as batch_size: 256"),
        ("a: b: c", "not YAML"),
        ("model: &a narrow\nschedule: *a", "not YAML (line 2: the alias *a; write the value itself)"),
        ("batch_size: 64\nbatch-size: 32", "not YAML (line 2: batch-size stands there twice)"),
        ("dataset: !!python/object/apply:os.system [ls]", "not YAML (line 1: could not determine a constructor"),
        ("a: " + "[" * 5000, "not YAML that can be read (nested too deeply)"),
        ("seed: !!int ''", "not YAML (a bad value"),
        ("seed: 2001-99-99", "not YAML (a bad value"),
        ("dataset: a\0b", "not YAML"),
        ('dataset: "a\\0b"', "--dataset: 'a\\x00b' holds a NUL character"),
        ('dataset: "\\uDCFF"', "--dataset: '\\udcff' is not UTF-8 text"),
        ("model: \xff", "not YAML"),
    ],
)
def test_a_faulty_settings_yaml_is_named_with_its_fault(own_defaults: Path, text: str, reason: str) -> None:
    own_defaults.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as refusal:
        parse([])
    message = str(refusal.value)
    assert message.startswith(f"{own_defaults}: {reason}")
    assert "\n" not in message


def test_a_settings_yaml_with_a_former_name_is_read(own_defaults: Path) -> None:
    own_defaults.write_text("loss-mixture: true\n")
    assert parse([]).label_posterior
    assert not parse(["--no-loss-mixture"]).label_posterior


def test_a_settings_yaml_of_comments_is_empty(own_defaults: Path) -> None:
    own_defaults.write_text("# batch_size: 256\n")
    assert read_yaml(own_defaults) == {}
    assert read_yaml(own_defaults.with_name("absent.yaml")) == {}


def test_differences_name_what_changes_a_result_and_nothing_else() -> None:
    old = Settings(epoch=2, seed=0, uuid="a")
    new = Settings(epoch=3, seed=0, uuid="b", output="x", device="cpu", gpu="1", processes=2)
    assert differences(old, new) == ["epoch 2 -> 3"]


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--epoch", "4", "--device", "cpu", "--output", "x", "--lr", "1e-1"], []),
        (["--epoch", "100", "--elr"], ["epoch 4 -> 100", "elr False -> True"]),
        (["--no-label-posterior"], ["label_posterior True -> False"]),
        (["--recipe", "robust"], []),
        (["--recipe", "robust", "--epoch", "5"], ["epoch 4 -> 5"]),
        (["--recipe", "default"], ["recipe robust -> default", "epoch 4 -> 50", "label_posterior True -> False"]),
    ],
)
def test_flags_beside_a_run_change_what_they_name_and_no_more(words: list[str], changes: list[str]) -> None:
    assert resolve.changed_by(resolve.typed(words), combine({"recipe": "robust", "epoch": 4})) == changes


def test_a_data_set_is_found_by_name_or_by_path() -> None:
    assert common.input_folder("quickdraw").parts[-3:] == ("project", "input", "quickdraw")
    assert common.input_folder("/data/mine") == Path("/data/mine")


def test_results_are_in_the_folder_given_or_in_the_usual_one() -> None:
    assert common.output_folder(None).parts[-2:] == ("project", "output")
    assert common.output_folder("elsewhere/runs") == Path("elsewhere/runs")


def test_each_purpose_has_a_random_stream_of_its_own() -> None:
    seeds = {derive_seed(seed, *purpose) for seed in (0, 1) for purpose in (("weights",), ("epoch", 0), ("epoch", 1))}
    assert len(seeds) == 6
    first, again, other = (torch.rand(4, generator=generator(seed, "epoch", 0)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
