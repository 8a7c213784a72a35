"""A comparison: methods x noise rates x seeds through the sweep, shown as a page whose table grows run by run."""

import dataclasses
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import make_command
from project.command import sweep
from project.command.growing_page import GrowingPage, Point
from project.command.runs import PLACE, make_run
from project.command.sweep import Order, SweepSettings
from project.work.common import UserError, flag
from project.work.settings.flags import inside, setting
from project.work.settings.groups import NoiseSettings
from project.work.settings.method_words import BASE, method_settings

NOISE = frozenset(field.name for field in dataclasses.fields(NoiseSettings))
OWN = NOISE | {"seed", "dataset"}  # settings that a comparison fixes or varies itself
RATES = "0,0.2,0.4"


@dataclass(frozen=True)
class CompareSettings(SweepSettings):
    """What to compare, and how to run it."""

    method: str = setting("base,recipe=robust,elr", "methods, separated by commas, such as elr, mixup+elr,"
                          " recipe=predecessor or ema=0.99+label-smoothing=0.2; base is always one",
                          value="METHODS")  # fmt: skip
    noise_type: str = setting(
        "symmetric", "kind of wrong labels", choices=("none", "symmetric", "pairflip", "confusion")
    )
    noise_rate: str | None = setting(
        None, f"noise rates in [0, 1); 0 is the clean control (default {RATES})", value="X,X"
    )
    seed: str = setting(
        "0,1,2", "seeds; each has its own noise too, unless --noise-seed gives all of them the same", value="N,N"
    )
    render_only: bool = setting(False, "train nothing; show what is finished")


def run_compare(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Do the missing runs, write the page and print it; exit with an error when a run failed.

    config: invoke.yaml; values: flags of CompareSettings, JobSettings and Settings.
    """
    order, rest = sweep.read_order(CompareSettings, config, values)
    settings: CompareSettings = order.settings
    rates = settings.noise_rate if settings.noise_rate is not None else "0" if settings.noise_type == "none" else RATES
    methods = with_base(make_command.split("method", settings.method))
    points = points_of(
        methods, read_rates(rates), read_seeds(settings.seed), rest | {"noise_type": settings.noise_type}
    )
    typed = {name: value for name, value in values.items() if name not in ("render_only", "dry_run")}
    carry_through(order, points, shlex.join(["./inv", "compare", *make_command.flags(typed)]), settings.render_only)


def with_base(methods: Sequence[str]) -> list[str]:
    """Methods without repeats, and with base, against which gains are measured."""
    if BASE not in methods:
        print(f"{BASE} is added: gains are measured against it", file=sys.stderr)
    return list(dict.fromkeys(methods if BASE in methods else [BASE, *methods]))


def read_rates(text: str) -> list[float]:
    """Noise rates in [0, 1), without repeats. Raises UserError."""
    rates = _numbers("noise_rate", text, float)
    for rate in rates:
        if not inside(rate, "[0, 1)"):
            raise UserError(f"--noise-rate: {rate:g} is outside [0, 1); it is a share of the labels: 0.4 is 40%")
    return rates


def read_seeds(text: str) -> list[int]:
    """Seeds, without repeats. Raises UserError."""
    return _numbers("seed", text, int)


def _numbers(name: str, text: str, kind: type) -> list:
    try:
        return list(dict.fromkeys(kind(word) for word in make_command.split(name, text)))
    except ValueError as error:
        example = "0,1,2" if kind is int else RATES
        raise UserError(f"{flag(name)}: {text!r} is not a list of numbers such as {example}") from error


def points_of(
    methods: Iterable[str], rates: Sequence[float], seeds: Sequence[int], values: Mapping[str, Any]
) -> list[Point]:
    """All runs of a comparison, checked, seed by seed, so that finished runs are paired early. Raises UserError."""
    for name, value in values.items():
        if isinstance(value, str) and "," in value and name not in PLACE:
            raise UserError(
                f"{flag(name)} {value}: a comparison varies methods, noise rates and seeds; make it a method, such as"
                f" --method {BASE},{name.replace('_', '-')}={value.split(',')[0]}"
            )
    switched = {method: method_settings(method) for method in methods}
    for method, given in switched.items():
        if taken := OWN & {name.removeprefix("no_") for name in given}:
            raise UserError(f"--method {method}: {min(taken)} is not a method's to set; it has a flag of its own")
    return [_point(method, rate, seed, values) for seed in seeds for rate in rates for method in switched]


def _point(method: str, rate: float, seed: int, values: Mapping[str, Any]) -> Point:
    name = f"method={method} noise_rate={rate:g} seed={seed}"
    given = {name: value for name, value in values.items() if value is not None and value is not False}
    wanted = {"noise_seed": str(seed)} | given | {"method": method, "noise_rate": f"{rate:g}", "seed": str(seed)}
    ((point, _),) = make_command.grid(wanted, whole=wanted)
    run = make_run(name, point)
    return Point(method, rate, seed, run, run.settings)


def carry_through(order: Order, points: Sequence[Point], command: str, render_only: bool = False) -> None:
    """Do the runs in the order of the points and show them. command: the one that continues the comparison."""
    runs = list({point.run.uuid: point.run for point in points}.values())
    if order.settings.dry_run:
        sweep.print_commands(order, runs)
        return
    page = GrowingPage(order.output, points, command)
    failed: dict[str, str] = {}
    if not render_only:
        try:
            failed = sweep.carry_out(order, runs, page.grow)
        except SystemExit:  # Ctrl-C, which the sweep has reported
            page.grow(at_once=True)
            raise
    page.show()
    sweep.end(runs, failed)
