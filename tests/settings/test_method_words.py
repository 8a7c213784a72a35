"""A method is a word: switches and settings joined by +, the same wherever methods are named."""

import pytest

import make_command
from project.work.common import UserError
from project.work.settings.method_words import method_settings


@pytest.mark.parametrize(
    ("word", "settings"),
    [
        ("base", {}),
        ("manifold-mixup", {"manifold_mixup": True}),
        ("mixup+elr", {"mixup": True, "elr": True}),
        ("recipe=predecessor", {"recipe": "predecessor"}),
        ("ema=0.99+label-smoothing=0.2", {"ema": "0.99", "label_smoothing": "0.2"}),
        ("loss-mixture+mixup", {"label_posterior": True, "mixup": True}),  # its former name
        ("recipe=robust+loss-mixture-start=0.5", {"recipe": "robust", "label_posterior_start": "0.5"}),
        ("elr+lr=0.03", {"elr": True, "lr": "0.03"}),
        ("amp=false+mixup=true", {"no_amp": True, "mixup": True}),
    ],
)
def test_a_word_stands_for_settings(word: str, settings: dict) -> None:
    assert method_settings(word) == settings


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("mixpu", r"'mixpu' is not a method; did you mean mixup\? \(base, mixup, "),
        ("robust", r"'robust' is not a method; did you mean recipe=robust\? \(base, .*, recipe=robust, or "),
        ("predecessor+ema=0.9", r"'predecessor' is not a method; did you mean recipe=predecessor\?"),
        ("elr+emma=0.9", r"--method elr\+emma=0.9: 'emma' is not a setting that changes a result; did you mean ema\?"),
        ("ema", "give ema a value: ema=..."),
        ("device=cpu", "'device' is not a setting that changes a result"),
        ("elr=yes", "elr is true or false, not 'yes'"),
        ("elr+", "'' is not a method"),
    ],
)
def test_what_is_no_method_is_named_with_the_nearest_that_is(word: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        method_settings(word)


def test_a_rate_of_zero_in_a_list_is_the_clean_control() -> None:
    given = {"noise_type": "symmetric", "noise_rate": "0.0,0.4", "noise_seed": "3", "epoch": "2"}
    points = [point for point, _ in make_command.grid(given)]
    assert points == [
        {"epoch": "2", "noise_type": "none", "noise_rate": 0},
        {"noise_type": "symmetric", "noise_rate": "0.4", "noise_seed": "3", "epoch": "2"},
    ]


@pytest.mark.parametrize("words", ["", "base,,elr", ","])
def test_an_empty_word_in_a_list_is_refused(words: str) -> None:
    with pytest.raises(UserError, match="holds an empty word"):
        list(make_command.grid({"method": words}))
