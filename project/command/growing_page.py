"""The page of a comparison, updated while its runs are going on."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from project.command.runs import PlannedRun
from project.work.settings.groups import Settings
from project.work.settings.method_words import BASE

if TYPE_CHECKING:
    from project.work.study.comparison import Comparison
    from project.work.study.comparison_page import Study

SHARE = 0.1  # of the time, at most, spent on redrawing the page


@dataclass(frozen=True)
class Point:
    """A run of a comparison. method: the word as typed, which may differ from the run's name elsewhere."""

    method: str
    rate: float
    seed: int
    run: PlannedRun
    settings: Settings


class GrowingPage:
    """The page of a comparison, redrawn as its runs finish."""

    def __init__(self, output: Path, points: Sequence[Point], command: str) -> None:
        self.output, self.points, self.command = output, points, command
        self.not_before = 0.0

    def grow(self, at_once: bool = False) -> None:
        """Redraw it, unless that was done just now. A failure is only a warning, and the runs go on."""
        started = time.monotonic()
        if started < self.not_before and not at_once:
            return
        try:
            self._write(self.comparison())
        except Exception as error:
            print(f"warning: the page was not drawn: {error}", file=sys.stderr)
        now = time.monotonic()
        self.not_before = now + (now - started) * (1 / SHARE - 1)

    def show(self) -> None:
        """Draw it and print its text."""
        from project.work.study import comparison_words, terminal

        comparison = self.comparison()
        if len(comparison.missing) == len(comparison.plan):
            print(f"none of the {len(self.points)} runs is finished in {self.output}; no page is drawn yet")
            return
        path = self._write(comparison)
        terminal.say(f"{comparison_words.text(comparison)}\n\npage {path}")

    def comparison(self) -> "Comparison":
        """The comparison of the runs that are finished by now."""
        from project.work.study import comparison

        return comparison.read(self.output, [
            (point.method, point.rate, point.seed, point.settings, point.run.uuid) for point in self.points
        ])  # fmt: skip

    def _write(self, comparison: "Comparison") -> Path:
        from project.work.study import comparison_page

        return comparison_page.write(self.output, comparison, self._study())

    def _study(self) -> "Study":
        from project.work.study.comparison_page import Study

        noisy = [point.settings for point in self.points if point.rate > 0]
        settings = next(point.settings for point in self.points if point.method == BASE)
        kind = noisy[0].noise_type if noisy else "no"
        name = Path(settings.dataset).name
        facts = {"data": name, "network": settings.model, "epochs": str(settings.epoch), "noise": kind}
        seeds = len({point.seed for point in self.points})
        counts = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((settings.epoch, "epoch"), (seeds, "seed"))]
        title = f"{name}: {kind} noise, {', '.join(counts)}"
        return Study(title, facts, self.command)
