"""What settings of features are refused, and which network stands for none."""

import pytest

from project.work.common import UserError
from project.work.settings import resolve
from project.work.settings.groups import FEATURE_MODEL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model=resnet18", "--stage=features"], "--model resnet18: ./inv features takes a pretrained network"),
        (["--features"], "--features is part of an audit"),
        (["--head=linear"], "--head linear is for ./inv features"),
        (["--weights=a.pt"], "--pretrained and --weights are for"),
        (["--model=tf_efficientnet_lite0"], "is not one of narrow, resnet18, resnet18-small"),
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
