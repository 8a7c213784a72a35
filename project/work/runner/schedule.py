"""Courses of the learning rate: pure functions of the share of training that is done."""

import math
from collections.abc import Callable, Mapping

WARM_UP = 0.25


def multistep(progress: float) -> float:
    """A tenth after 80% of the steps and a hundredth after 90%."""
    return 1.0 if progress < 0.8 else 0.1 if progress < 0.9 else 0.01


def onecycle(progress: float) -> float:
    """Up from 1/25 during the first quarter, then down to nothing along a cosine (Smith and Topin, 2017)."""
    if progress < WARM_UP:
        return 0.04 + 0.96 * progress / WARM_UP
    return cosine((progress - WARM_UP) / (1 - WARM_UP))


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter, 2016)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


SCHEDULES: Mapping[str, Callable[[float], float]] = {"multistep": multistep, "onecycle": onecycle, "cosine": cosine}


def factor(name: str, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step (0 .. steps-1) of a run of `steps`.

    Counted in steps, so that a run of one or two epochs has the whole course too.
    """
    return SCHEDULES[name](step / steps)
