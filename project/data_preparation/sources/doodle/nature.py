"""Things that grow, live or hang in the sky, as people draw them: one function a class, each with several ways.

Numbers are places and sizes in a frame about one unit high, y down; chances imitate how often people add a part.
"""

from project.data_preparation.sources.doodle.pen import Pen, dial


def apple(pen: Pen) -> None:
    w, h, dip = pen.about(0.5), pen.about(0.46, 0.1), pen.between(0, 0.16)
    if pen.maybe(0.65):
        half = [(0.25 * w, -h - 0.04), (0.8 * w, -0.75 * h), (w, -0.1), (0.75 * w, 0.7 * h), (0.25 * w, h)]
        left = [(-x, y) for x, y in reversed(half)]
        pen.curve((0, dip - h), *half, (0, h - dip * pen.between(0, 0.7)), *left, (0.02, dip - h))
    else:
        pen.ring(0, 0, w, h)
    if pen.maybe(0.88):
        lean = pen.between(-0.05, 0.18)
        pen.curve((0, dip - h + 0.03), (lean / 3, -h - 0.1), (lean, -h - pen.about(0.2)))
    if pen.maybe(0.45):
        x, y = pen.between(0.1, 0.25), -h - pen.between(0.05, 0.2)
        pen.curve((0.02, -h - 0.03), (0.6 * x, y - 0.1), (x + 0.12, y), (0.7 * x, y + 0.08), (0.03, -h - 0.03))


def cloud(pen: Pen) -> None:
    w, h = 0.6, pen.about(0.33, 0.25)
    if pen.maybe(0.8):
        pen.ring(0, 0, w, h, bumps=pen.count(5, 11), depth=pen.about(0.3, 0.25))
    else:
        pen.line((-w, 0.1), (w, 0.1))
        x, n = -w, pen.count(3, 5)
        for i in range(n):
            pen.arc(x + w / n, 0.1, w / n, w / n * pen.between(0.8, 1.2) * (1.5 if 0 < i < n - 1 else 0.8), 0.5, 1)
            x += 2 * w / n
    if pen.maybe(0.06):
        for i in range(pen.count(3, 6)):
            pen.line((-0.4 + 0.17 * i, 0.5), (-0.44 + 0.17 * i, pen.between(0.6, 0.75)))


def fish(pen: Pen) -> None:
    h, tail, reach = pen.about(0.32, 0.3), pen.about(0.24, 0.25), pen.about(0.3, 0.2)
    if pen.maybe(0.5):
        body = [(0.3, h * 0.45), (-0.15, h), (-0.6, 0), (-0.15, -h), (0.3, -h * 0.45)]
        pen.curve((0.5 + reach, -tail), *body, (0.5 + reach, tail))
        if pen.maybe(0.85):
            pen.line((0.5 + reach, -tail), (0.45 + reach * pen.between(0.5, 1), 0), (0.5 + reach, tail))
    else:
        pen.ring(-0.05, 0, 0.55, h)
        pen.line((0.48, 0), (0.5 + reach, -tail), (0.5 + reach, tail), close=True)
    if pen.maybe(0.75):
        pen.dot(-0.4, -0.2 * h, 0.035)
    if pen.maybe(0.3):
        pen.curve((-0.57, 0.15 * h), (-0.48, 0.25 * h), (-0.4, 0.2 * h))
    if pen.maybe(0.25):
        pen.arc(-0.35, 0, 0.1, h * 0.7, -0.2, 0.2)
    if pen.maybe(0.25):
        pen.curve((-0.2, -h), (0, -h - 0.17), (0.15, -h * 0.85))
    for _ in range(pen.pick(0, 4, weights=(0.88, 0.12))):
        pen.arc(pen.between(-0.15, 0.25), pen.between(-0.4, 0.4) * h, 0.06, 0.07, -0.25, 0.25)


def flower(pen: Pen) -> None:
    stem, petals, r = pen.about(0.75, 0.2), pen.count(4, 8), pen.about(0.3, 0.15)
    style = pen.pick("ring", "loops", "tulip", weights=(0.45, 0.42, 0.13))
    if style == "tulip":
        pen.line((-r, -r), (-r * 0.5, -r * 0.2), (0, -r), (r * 0.5, -r * 0.2), (r, -r))
        pen.curve((-r, -r), (-r, 0.4 * r), (0, r), (r, 0.4 * r), (r, -r))
    else:
        pen.ring(0, 0, 0.4 * r, 0.4 * r)
    if style == "ring":
        pen.ring(0, 0, r, r, bumps=petals, depth=pen.about(0.45))
    for i in range(petals if style == "loops" else 0):
        (x, y), turn = dial(12 * i / petals, 1), pen.about(0.5)
        a, b, far = 0.4 * r, turn * r * 0.7, r * pen.about(1.15, 0.1)
        pen.curve((a * x, a * y), (0.7 * far * x - b * y, 0.7 * far * y + b * x), (far * x, far * y),
                  (0.7 * far * x + b * y, 0.7 * far * y - b * x), (a * x, a * y))  # fmt: skip
    if pen.maybe(0.85):
        pen.curve((0, r), (pen.between(-0.06, 0.06), r + stem / 2), (pen.between(-0.08, 0.08), r + stem))
        for side in (1, -1)[: pen.pick(0, 1, 2, weights=(0.45, 0.25, 0.3))]:
            y = r + stem * pen.between(0.4, 0.8)
            pen.curve((0, y), (0.12 * side, y - 0.13), (0.26 * side, y - 0.12), (0.15 * side, y), (0, y))


def mushroom(pen: Pen) -> None:
    w, h, stem, thick = pen.about(0.48), pen.about(0.4), pen.about(0.45), pen.about(0.14, 0.3)
    if pen.maybe(0.3):
        pen.ring(0, -h / 2, w, h / 2)
    else:
        pen.curve(
            (-w, 0), (-0.9 * w, -0.5 * h), (-0.4 * w, -0.95 * h), (0.4 * w, -0.95 * h), (0.9 * w, -0.5 * h), (w, 0)
        )
        sag = pen.rng.normal(0.02, 0.05)
        pen.curve((-w, 0), (0, sag), (w, 0)) if pen.maybe(0.7) else pen.line((-w, 0), (w, 0))
    flare = pen.about(1.1, 0.25) * thick
    if pen.maybe(0.65):
        pen.curve(
            (-thick, 0),
            (-thick, stem * 0.6),
            (-flare, stem),
            (0, stem + 0.04),
            (flare, stem),
            (thick, stem * 0.5),
            (thick, 0),
        )
    else:
        pen.line((-thick, 0), (-flare, stem))
        pen.line((thick, 0), (flare, stem))
        if pen.maybe(0.6):
            pen.line((-flare, stem), (flare, stem))
    for _ in range(pen.pick(0, 3, 5, weights=(0.68, 0.2, 0.12))):
        size = pen.about(0.06, 0.3)
        pen.ring(pen.between(-0.55, 0.55) * w, -pen.between(0.2, 0.75) * h, size, size)


def snowman(pen: Pen) -> None:
    balls, y, r = pen.pick(2, 3, weights=(0.4, 0.6)), 0.0, pen.about(0.4)
    for i in range(balls):
        pen.ring(pen.rng.normal(0, 0.02), y - r, r * pen.about(1.05, 0.1), r)
        y -= 2 * r * pen.between(0.92, 1)
        r *= pen.between(0.62, 0.85) if i < balls - 1 else 1
    if pen.maybe(0.55):
        for x in (-0.35 * r, 0.35 * r):
            pen.dot(x, y + 1.2 * r, 0.03)
    if pen.maybe(0.4):
        pen.line((0, y + 0.95 * r), (0.5 * r, y + 1.05 * r), (0, y + 1.15 * r))
    if pen.maybe(0.3):
        pen.arc(0, y + 0.75 * r, 0.4 * r, 0.35 * r, 0, 0.5)
    for side in (-1, 1) if pen.maybe(0.4) else ():
        shoulder = y + 2.6 * r
        pen.line((side * r, shoulder), (side * (r + pen.about(0.35)), shoulder - pen.between(-0.1, 0.25)))
    for i in range(pen.pick(0, 3, 2, weights=(0.6, 0.25, 0.15))):
        pen.dot(0, y + 2.5 * r + 0.14 * i, 0.025)
    if pen.maybe(0.2):
        hat = [(-0.6 * r, y), (-0.6 * r, y - r), (0.6 * r, y - r), (0.6 * r, y)]
        pen.line((-1.1 * r, y), *hat, (1.1 * r, y))


def sun(pen: Pen) -> None:
    r = pen.about(0.27, 0.22)
    if pen.maybe(0.12):
        pen.ring(0, 0, 0.45, 0.45, bumps=pen.count(8, 14), depth=pen.about(0.4), sharp=True)
        if pen.maybe(0.5):
            pen.ring(0, 0, 0.28, 0.28)
    else:
        pen.ring(0, 0, r, r * pen.about(1, 0.1))
        rays, gap, length = pen.count(5, 14), pen.pick(0, pen.between(0.02, 0.1)), pen.about(0.22, 0.3)
        for i in range(rays):
            hour, far = 12 * i / rays + pen.rng.normal(0, 0.15), r + gap + pen.about(length, 0.22)
            pen.line(dial(hour, r + gap), dial(hour + pen.rng.normal(0, 0.1), far))
    if pen.maybe(0.1):
        pen.dot(-0.3 * r, -0.2 * r)
        pen.dot(0.3 * r, -0.2 * r)
        pen.arc(0, 0.1 * r, 0.45 * r, 0.4 * r, 0.05, 0.45)
    if pen.maybe(0.03):
        pen.scribble(0, 0, r, r)


def tree(pen: Pen) -> None:
    w, h, trunk, thick = pen.about(0.42), pen.about(0.34), pen.about(0.5), pen.about(0.1, 0.3)
    style = pen.pick("bumps", "oval", "fir", "scribble", weights=(0.6, 0.17, 0.15, 0.08))
    if style == "bumps":
        pen.ring(0, -h, w, h, bumps=pen.count(5, 10), depth=pen.about(0.3))
    elif style == "oval":
        pen.ring(0, -h, w, h)
    elif style == "scribble":
        pen.scribble(0, -h, w, h)
    else:
        for i in range(pen.pick(1, 3, weights=(0.5, 0.5))):
            y, s = -0.38 * i, 1 - 0.22 * i
            pen.line((-w * s, y), (0, y - 0.75 * s), (w * s, y), close=True)
    flare = thick * pen.between(0.9, 1.8)
    if pen.maybe(0.55):
        pen.curve((-thick, -0.05), (-thick, trunk * 0.6), (-flare, trunk))
        pen.curve((thick, -0.05), (thick, trunk * 0.6), (flare, trunk))
        if pen.maybe(0.3):
            pen.line((-flare, trunk), (flare, trunk))
    else:
        pen.line((-thick, -0.05), (-flare, trunk), (flare, trunk), (thick, -0.05))
    if pen.maybe(0.12):
        pen.ring(0, 0.25, thick * 0.5, 0.06)
    if pen.maybe(0.08):
        pen.line((-0.6, trunk), (0.6, trunk))
