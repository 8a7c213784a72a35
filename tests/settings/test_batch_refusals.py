"""What is refused of the settings that say what a training batch is made of, and of those that look into training."""

import pytest

from project.work.common import UserError
from project.work.settings import resolve


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--augment cutout", "--augment: cutout is not one of none, flip, affine, photo, trivial, randaugment, and no"),
        ("--augment flip --no-flip", "--augment flip --no-flip: it does nothing but mirror; --augment none; leave one"),
        ("--augment mine:change --no-flip", "--augment mine:change --no-flip: it mirrors as it is written; leave one"),
        ("--sampler balanced --class-weight inverse", "--sampler and --class-weight: choose one (each makes up for"),
        ("--class-weight inverse --logit-adjustment", "--class-weight and --logit-adjustment: choose one (each makes"),
        ("--class-weight-beta 0.9", "--class-weight-beta is for --class-weight effective"),
        ("--focal --gce", "--focal and --gce: choose one (each is a loss in place of cross entropy)"),
        ("--focal --logit-adjustment", "--logit-adjustment and --focal: choose one (the adjustment is derived for"),
        ("--hard 2 --sampler sqrt", "--sampler and --hard: choose one (each says how often a row is shown)"),
        ("--hard 2 --elr", "--hard and --elr: choose one (ELR averages one prediction of each row an epoch)"),
        ("--stage audit --hard 2", "--stage audit --hard: --hard goes by an audit, which comes first; leave one out"),
        ("--hard 101", "--hard: 101 is outside [0, 100]"),
        ("--audit-file a.csv", "--audit-file: say what to do with what it flags: --clean drop, relabel or reweight"),
        ("--extra-train more --distillation", "--extra-train and --distillation: choose one (the teacher's logits are"),
        ("--extra-train more --stage features", "--extra-train: features are those of --dataset alone; leave it out"),
        ("--stage features --head linear --sampler sqrt", "--sampler: a head draws no rows; --class-weight is for it"),
        ("--stage features --head knn --class-weight inverse", "--class-weight is for a network, or for --head linear"),
        ("--overfit 1", "--overfit: 1 is outside [2, inf)"),
        ("--overfit 8 --resume x", "--overfit is a check of its own, for new training; leave --stage and --resume out"),
        ("--overfit 8 --gradients", "--overfit: --profile and --gradients look into a run, which it is not; leave"),
    ],
)
def test_settings_that_make_no_sense_are_refused(words: str, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        resolve.combine(resolve.typed(words.split()))
    assert str(refusal.value).startswith(said)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "words",
    [
        "--augment mine.package:change",
        "--hard 3 --audit-file a.csv",
        "--hard 3 --clean drop",
        "--class-weight effective --class-weight-beta 0.9 --mixup --label-posterior",
        "--sampler balanced --focal",
        "--no-flip --augment none",
        "--extra-train more --recipe robust --mixup",
        "--stage features --head linear --logit-adjustment",
        "--stage audit --class-weight inverse",
    ],
)
def test_settings_that_make_sense_are_not(words: str) -> None:
    resolve.combine(resolve.typed(words.split()))


def test_what_looks_into_training_is_no_setting_of_a_result() -> None:
    assert {"overfit", "profile", "gradients"} <= set(resolve.place_settings())
    assert not {"overfit", "profile", "gradients"} & set(resolve.experiment_settings())
