"""A hand that draws: lines that wobble, corners that miss, circles that do not close. For the synthetic doodles."""

import itertools
import math
from typing import Any

import numpy as np

Point = tuple[float, float]
_POINTS_PER_UNIT = 32  # a doodle is about one unit high: dense enough for a smooth curve, cheap enough for thousands


def dial(hour: float, radius: float) -> Point:
    """The place of an hour on a dial round the origin: 0 is up, 3 is right."""
    return radius * math.sin(hour * math.pi / 6), -radius * math.cos(hour * math.pi / 6)


class Pen:
    """One person drawing one doodle. Every chance event comes from the generator; y points down, the size is free.

    The person's habits (tremor, carelessness at joints, haste) are drawn once, so that a doodle is of one hand.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.strokes: list[np.ndarray] = []
        self.tremor = 0.014 * rng.lognormal(0, 0.5)
        self.miss = 0.022 * rng.lognormal(0, 0.6)
        self.haste = rng.random()
        self.turn = rng.normal(0, 0.07)

    def maybe(self, chance: float) -> bool:
        """Whether this person does it."""
        return self.rng.random() < chance

    def about(self, value: float, spread: float = 0.18) -> float:
        """A size near `value`, never of the other sign."""
        return value * self.rng.lognormal(0, spread)

    def between(self, low: float, high: float) -> float:
        """Any number of the interval."""
        return self.rng.uniform(low, high)

    def count(self, low: int, high: int) -> int:
        """Any whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, *options: Any, weights: tuple[float, ...] | None = None) -> Any:
        """One of the options, the earlier ones more often where weights say so."""
        return options[self.rng.choice(len(options), p=weights)]

    def line(self, *points: Point, close: bool = False) -> None:
        """Straight sides through the points, as one stroke or, from a tidy person, one stroke a side."""
        corners = np.array(points, float)
        corners += self.rng.normal(0, self.miss, corners.shape)
        if close:
            corners = self._go_round(corners)
        if len(corners) < 3 or not self.maybe(0.35 * (1 - self.haste)):
            return self._trace(corners, rounds=int(self.haste * 2.5))
        for start, end in itertools.pairwise(corners):
            before, after = self.rng.normal(0, 1.5 * self.miss, 2) / max(np.hypot(*(end - start)), 0.2)
            self._trace(np.array([start - before * (end - start), end + after * (end - start)]))

    def _go_round(self, corners: np.ndarray) -> np.ndarray:
        corners = np.roll(corners, self.pick(0, -1, 1, 2, weights=(0.55, 0.15, 0.15, 0.15)), axis=0)
        if self.maybe(0.4):
            corners = np.roll(corners[::-1], 1, axis=0)
        return np.vstack([corners, corners[0] + self.rng.normal(0, 1.7 * self.miss, 2)])

    def curve(self, *points: Point) -> None:
        """A smooth stroke through the points (Catmull-Rom)."""
        knots = np.array(points, float)
        knots += self.rng.normal(0, self.miss, knots.shape)
        p = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
        t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
        a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
        smooth = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        self._trace(np.vstack([smooth.reshape(-1, 2), knots[-1:]]))

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float) -> None:
        """Part of an ellipse; start and end in turns, 0 at the right, 0.25 at the bottom."""
        start, end = start + self.rng.normal(0, self.miss / 2), end + self.rng.normal(0, self.miss / 2)
        angle = 2 * math.pi * np.linspace(start, end, 24)
        self._trace(np.column_stack([x + rx * np.cos(angle), y + ry * np.sin(angle)]))

    def ring(
        self, x: float, y: float, rx: float, ry: float, bumps: int = 0, depth: float = 0, sharp: bool = False
    ) -> None:
        """A closed round shape that starts anywhere and ends a little short or long; with bumps it is a cloud,
        a blossom or, with sharp ones, a star or a spiky sun."""
        rng = self.rng
        turns = np.linspace(0, 1 + rng.normal(0.01, 1.2 * self.miss), 40 + 6 * bumps)
        angle = 2 * math.pi * (rng.normal(-0.25, 0.12) + self.pick(1, -1) * turns)
        lobes = rng.normal(0, 0.012 + self.miss / 2, 2)
        radius = 1 + lobes @ np.cos(np.outer([2, 3], angle) + rng.uniform(0, 6.28, (2, 1)))
        radius += rng.normal(0, 1.2 * self.miss) * turns
        if bumps:
            widths = np.cumsum(rng.uniform(0.6, 1.4, bumps))
            place = np.interp(turns % 1, np.append(0, widths) / widths[-1], np.arange(bumps + 1))
            inside, depths = place % 1, depth * rng.lognormal(0, 0.25, bumps + 1)[place.astype(int)]
            radius += depths * ((1 - abs(2 * inside - 1)) if sharp else np.sqrt(np.sin(math.pi * inside))) - depth / 2
        self._trace(np.column_stack([x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)]))

    def dot(self, x: float, y: float, size: float = 0.03) -> None:
        """An eye or a button: a tick of the pen, a tiny ring, or a filled one."""
        kind = self.pick("tick", "ring", "filled", weights=(0.45, 0.4, 0.15))
        if kind == "tick":
            self.line((x, y), (x + self.rng.normal(0, size / 3), y + self.about(size, 0.5)))
        elif kind == "ring":
            size = self.about(size, 0.35)
            self.ring(x, y, size, size)
        else:
            self.scribble(x, y, size, size, turns=3)

    def scribble(self, x: float, y: float, rx: float, ry: float, turns: int = 7) -> None:
        """An area filled by going round and round."""
        radius, angle = self.rng.uniform(0.25, 1, 5 * turns), np.arange(5 * turns) * 1.26
        self.curve(*zip(x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle), strict=True))

    def _trace(self, path: np.ndarray, rounds: int = 0) -> None:
        """Put a path on paper: even points, rounded corners, then the slow sway of a hand."""
        along = np.append(0, np.cumsum(np.hypot(*np.diff(path, axis=0).T)))
        length = max(along[-1], 1e-3)
        s = np.linspace(0, 1, int(min(max(length * _POINTS_PER_UNIT, 6), 160)))
        points = np.column_stack([np.interp(s * length, along, path[:, axis]) for axis in (0, 1)])
        for _ in range(rounds):
            points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
        waves = np.array([0.5, 1.3, 2.7, 5.1]) * max(1, length / 2)
        heights = self.rng.normal(0, self.tremor, (2, 4)) * min(length, 1.2) / np.array([1, 1.5, 2.5, 5])
        phases = self.rng.uniform(0, 2 * math.pi, (4, 1))
        self.strokes.append(points + (heights @ np.sin(2 * math.pi * np.outer(waves, s) + phases)).T)

    def finish(self) -> list[np.ndarray]:
        """The whole doodle as float strokes (n, 2): perhaps unfinished, in this person's order and proportions."""
        strokes = self._unfinished(self.strokes)
        if self.maybe(0.3):
            strokes = [strokes[i] for i in self.rng.permutation(len(strokes))]
        strokes = self._without_lifting([stroke[::-1] if self.maybe(0.3) else stroke for stroke in strokes])
        return self._distort(strokes)

    def _unfinished(self, strokes: list[np.ndarray]) -> list[np.ndarray]:
        """Some stop early (time was up, or the game had guessed it), some forget a part."""
        if len(strokes) > 1 and self.maybe(0.12):
            return strokes[: max(1, math.ceil(len(strokes) * self.between(0.4, 1)))]
        if len(strokes) > 2 and self.maybe(0.05):
            del strokes[self.count(0, len(strokes) - 1)]
        return strokes

    def _without_lifting(self, strokes: list[np.ndarray]) -> list[np.ndarray]:
        joined = strokes[:1]
        for stroke in strokes[1:]:
            near = np.hypot(*(stroke[0] - joined[-1][-1])) < 0.13
            if near and self.maybe(0.5 * self.haste):
                joined[-1] = np.vstack([joined[-1], stroke])
            else:
                joined.append(stroke)
        return joined

    def _distort(self, strokes: list[np.ndarray]) -> list[np.ndarray]:
        """Mirror, rotate, slant, stretch and bend the drawing as a whole."""
        rng = self.rng
        points = np.vstack(strokes)
        size = np.ptp(points, axis=0).max()
        points = (points - points.mean(axis=0)) / size
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        stretch = np.exp(np.array([1, -1]) * rng.normal(0, 0.1)) * (self.pick(1, -1), 1)
        points = points * stretch @ np.array([[cos, sin], [-sin, cos]]) @ np.array([[1, 0], [rng.normal(0, 0.08), 1]])
        bend = rng.normal(0, 0.025, (2, 1)) * np.sin(
            rng.uniform(2, 6, (2, 1)) * points.T[::-1] + rng.uniform(0, 6.28, (2, 1))
        )
        return np.split(points + bend.T, np.cumsum([len(stroke) for stroke in strokes])[:-1])
