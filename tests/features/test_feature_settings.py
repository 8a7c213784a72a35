"""What settings of features are refused, and which network stands for none."""

import pytest

from project.work.common import UserError
from project.work.settings import resolve
from project.work.settings.groups import FEATURE_MODEL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model=resnet18-small", "--stage=features"], "--model resnet18-small: ./inv features takes a pretrained"),
        (["--model=mine:wide", "--stage=features"], "--model mine:wide: ./inv features takes a pretrained network"),
        (["--features"], "--features is part of an audit"),
        (["--head=linear"], "--head linear is for ./inv features"),
        (["--weights=a.pt", "--model=narrow"], "--model narrow: there are no pretrained weights of it"),
        (["--pretrained", "--model=mine:wide"], "say where the weights of your own network are with --weights FILE"),
        (["--stage=features", "--processes=2"], "one process makes features"),
        (["--stage=audit", "--features", "--vote"], "takes neither --vote nor --oof-logits"),
        (["--stage=features", "--no-pretrained"], "needs trained weights"),
    ],
)
def test_settings_that_make_no_sense_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        resolve.combine(resolve.typed(words))


def test_features_take_lite0_where_a_person_names_no_network() -> None:
    assert resolve.combine({"model": "resnet18"}, {"stage": "features"}).model == FEATURE_MODEL
    assert resolve.combine({"stage": "audit", "features": True}).model == FEATURE_MODEL
    assert resolve.combine({"stage": "audit"}).model == "narrow"


def test_resnet18_is_timms_where_weights_are_pretrained() -> None:
    for layer, name in (
        ({"model": "resnet18"}, "resnet18"),
        ({"model": "resnet18", "pretrained": True}, "timm/resnet18"),
        ({"model": "resnet18", "weights": "a.pt"}, "timm/resnet18"),
        ({"model": "resnet18.a1_in1k", "pretrained": True}, "resnet18.a1_in1k"),
        ({"pretrained": True}, FEATURE_MODEL),
        ({"weights": "a.pt"}, FEATURE_MODEL),
        ({}, "narrow"),
    ):
        assert resolve.network(resolve.combine(layer)) == name
    assert resolve.combine({"model": "resnet18", "stage": "features"}).model == "resnet18"
