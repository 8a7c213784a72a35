"""Recipes: named sets of defaults, alone or together, and what an optimizer brings when nobody says otherwise."""

import pytest

from project.work.common import UserError
from project.work.settings import resolve
from project.work.settings.resolve import combine


def test_recipes_together_set_what_each_sets() -> None:
    brought = resolve.recipe_values("finetune, robust")
    assert brought == {**resolve.RECIPES["finetune"], "label_posterior": True}
    assert resolve.recipe_values("default") == {}
    assert resolve.recipe_values("robust,default,robust") == {"label_posterior": True}


def test_fine_tuning_starts_from_a_pretrained_network_whatever_its_name() -> None:
    assert combine({"recipe": "finetune"}).model == "tf_efficientnet_lite0"
    asked = combine({"recipe": "finetune,robust", "model": "resnet18"})
    assert (asked.model, asked.pretrained, asked.label_posterior) == ("resnet18", True, True)
    assert combine({"recipe": "finetune"}, {"recipe": "default"}).pretrained is None


def test_recipes_that_set_one_setting_to_two_values_are_refused_by_its_name() -> None:
    with pytest.raises(UserError, match="--recipe predecessor,finetune: predecessor sets --optimizer sgd and finetune"
                       " adamw; leave one out"):  # fmt: skip
        combine({"recipe": "predecessor,finetune"})


@pytest.mark.parametrize("word", ["finetuning", "", "robust,,finetune", "robust;finetune"])
def test_a_recipe_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"--recipe: .* is not one of default, predecessor, finetune, robust"):
        combine({"recipe": word})


def test_adamw_has_a_learning_rate_of_its_own_unless_one_is_given() -> None:
    assert combine({"optimizer": "adamw"}).learning_rate == 0.001
    assert combine({"optimizer": "adamw"}).weight_decay == 0.05
    assert combine({"learning_rate": "0.1"}, {"optimizer": "adamw"}).learning_rate == 0.1
    assert combine({"optimizer": "adamw", "learning_rate": 0.1}, {"recipe": "default"}).learning_rate == 0.1
    assert combine({"optimizer": "sgd"}).learning_rate == 0.1
    named = combine({"learning_rate": "0.3"}, {"recipe": "default", "optimizer": "adamw"})  # the recipe takes it back
    assert named.learning_rate == 0.001


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"layer_factors": "0.1,1,1", "layer_decay": 0.75}, "--layer-factors and --layer-decay: choose one"),
        ({"layer_factors": "0.1,1"}, "--layer-factors: 0.1,1 is not three numbers such as 0.01,0.1,1"),
        ({"layer_factors": "0,1,1"}, "each is a number above 0; for stages that do not learn give --freeze"),
        ({"layer_factors": "nan,1,1"}, "each is a number above 0"),
        ({"warm_up": 0.1}, "--warm-up 0.1: onecycle rises by itself; give --schedule cosine"),
        ({"freeze": "0"}, "--freeze: '0' is neither a count of stages nor the name of one"),
        ({"freeze": "head"}, "--freeze head: then nothing learns"),
        ({"head_first": True}, "--head-first: the head is fitted to features of a pretrained network; give"),
        ({"recipe": "finetune", "pretrained": False}, "--head-first: the head is fitted to features of a pretrained"),
        ({"clip_norm": 0}, "--clip-norm: 0.0 is outside"),
    ],
)
def test_what_makes_no_sense_together_is_refused(values: dict, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        combine(values)
    assert said in str(refusal.value)
