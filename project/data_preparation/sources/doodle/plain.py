"""Plain figures and signs of a few lines, as people draw them: one function a class, each with several ways.

Numbers are places and sizes in a frame about one unit high, y down; chances imitate how often people add a part.
"""

from project.data_preparation.sources.doodle.pen import Pen, dial


def circle(pen: Pen) -> None:
    pen.ring(0, 0, 0.5, pen.about(0.5, 0.06))
    if pen.maybe(0.06):
        pen.ring(0, 0, 0.5, 0.5)
    if pen.maybe(0.04):
        pen.dot(0, 0)


def clock(pen: Pen) -> None:
    if pen.maybe(0.94):
        pen.ring(0, 0, 0.5, 0.5)
    else:
        pen.line((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), close=True)
    hour = pen.between(0, 12)
    for angle, length in ((pen.between(-0.7, 0.7), 0.38), (hour, 0.26))[: pen.pick(2, 1, weights=(0.9, 0.1))]:
        x, y = dial(angle, pen.about(length))
        pen.line((0, 0), (x, y))
    marks = pen.pick(0, 4, 12, weights=(0.5, 0.25, 0.25))
    written = pen.maybe(0.4)
    for i in range(marks):
        (x, y), (a, b) = dial(12 * i / marks, 0.42), dial(12 * i / marks, 0.34)
        if written:
            pen.curve((a - 0.03, b - 0.03), (a + pen.between(-0.03, 0.05), b), (a, b + 0.05))
        else:
            pen.line((x, y), (a, b))
    if pen.maybe(0.1):
        pen.dot(0, 0)


def envelope(pen: Pen) -> None:
    w, h = 0.6, pen.about(0.4, 0.16)
    pen.line((-w, -h), (w, -h), (w, h), (-w, h), close=True)
    style = pen.pick("flap", "cross", "low", weights=(0.75, 0.1, 0.15))
    tip = pen.between(-0.3, 0.35) * h
    pen.line((-w, -h), (0, 0.15 * h if style == "cross" else tip), (w, -h))
    if style == "cross":
        pen.line((-w, h), (0, -h * pen.between(-0.1, 0.15)), (w, h))
    if style == "low":
        pen.line((-w, h), (-0.12, tip * 0.5))
        pen.line((w, h), (0.12, tip * 0.5))
    if pen.maybe(0.12):
        pen.dot(0, tip, 0.06)


def ladder(pen: Pen) -> None:
    pen.turn += pen.rng.normal(0, 0.18)
    low, top, rungs = pen.about(0.22, 0.25), pen.between(0.6, 1.05), pen.count(2, 7)
    if pen.maybe(0.12):
        pen.line((-low, 1), (-low * top, 0), (low * top, 0), (low, 1), close=True)
    else:
        pen.line((-low, 1), (-low * top, 0))
        pen.line((low * top, 0), (low, 1))
    over = pen.pick(0, pen.between(0, 0.1), weights=(0.75, 0.25))
    for i in range(rungs):
        y = (i + pen.between(0.35, 0.65)) / rungs
        x = low * (top + (1 - top) * y) + over
        pen.line((-x, y), (x, y + pen.rng.normal(0, 0.02)))
    if pen.maybe(0.1):
        pen.line((low, 1), (low * 2.4, 0.95), (low * top, 0))


def lightning(pen: Pen) -> None:
    pen.turn += pen.rng.normal(0, 0.15)
    wide = pen.about(0.25)
    if pen.maybe(0.5):
        x, y, points, side = 0.0, 0.0, [(0.0, 0.0)], -1
        for _ in range(pen.count(3, 5)):
            x, y = x + side * pen.about(wide, 0.3), y + (pen.about(0.33) if side < 0 else pen.rng.normal(0.02, 0.05))
            points.append((x, y))
            side = -side
        pen.line(*points)
    else:
        a, b, thick = pen.between(0.3, 0.45), pen.between(0.6, 0.75), pen.about(0.22)
        right = [(thick, 0), (thick * 0.4, a - 0.05), (thick * 1.3, a), (thick * 0.2, b - 0.03), (thick, b)]
        left = [(-wide, 1.1), (-wide * 0.6, b + 0.05), (-wide * 1.1, b), (-wide * 0.2, a), (-wide, a)]
        short = [*right[:3], (-wide * 0.4, 1.05), *left[3:]]
        pen.line((0, 0), *(short if pen.maybe(0.6) else right + left), close=True)
    if pen.maybe(0.06):
        pen.ring(0, -0.15, 0.5, 0.17, bumps=7, depth=0.3)


def smiley_face(pen: Pen) -> None:
    if pen.maybe(0.92):
        pen.ring(0, 0, 0.5, pen.about(0.5, 0.1))
    apart, up, tall = pen.between(0.12, 0.22), pen.between(0.08, 0.22), pen.about(0.12)
    eyes = pen.pick("dots", "lines", "ovals", "arcs", weights=(0.45, 0.28, 0.2, 0.07))
    for x in (-apart, apart):
        if eyes == "dots":
            pen.dot(x, -up, 0.04)
        elif eyes == "lines":
            pen.line((x, -up - tall / 2), (x, -up + tall / 2))
        elif eyes == "ovals":
            pen.ring(x, -up, 0.06, pen.about(0.09))
        else:
            pen.arc(x, -up, 0.08, 0.08, 0.5, 1)
    wide, deep, y = pen.about(0.26), pen.about(0.16, 0.35), pen.between(0.05, 0.2)
    pen.curve((-wide, y), (-wide * 0.5, y + deep * 0.8), (0, y + deep), (wide * 0.5, y + deep * 0.8), (wide, y))
    if pen.maybe(0.12):
        pen.line((-wide, y), (wide, y))
    if pen.maybe(0.1):
        pen.line((0, -0.05), (0.04, 0.06), (-0.02, 0.07))


def square(pen: Pen) -> None:
    w, h = 0.5, pen.about(0.5, 0.1)
    pen.turn *= 1.5
    pen.line((-w, -h), (w, -h), (w, h), (-w, h), close=True)
    if pen.maybe(0.03):
        pen.line((-w, -h), (w, h))


def star(pen: Pen) -> None:
    pen.turn += pen.rng.normal(0, 0.1)
    outer = [dial(2.4 * i + pen.rng.normal(0, 0.13), pen.about(0.5, 0.09)) for i in range(5)]
    style = pen.pick("pentagram", "outline", "six", weights=(0.47, 0.47, 0.06))
    if style == "pentagram":
        pen.line(*(outer[(2 * i) % 5] for i in range(5)), close=True)
    elif style == "outline":
        ratio = pen.between(0.3, 0.55)
        inner = [dial(2.4 * i + 1.2, 0.5 * pen.about(ratio, 0.1)) for i in range(5)]
        pen.line(*(p for pair in zip(outer, inner, strict=True) for p in pair), close=True)
    else:
        for up in (0, 6):
            pen.line(*(dial(up + 4 * i, 0.5) for i in range(3)), close=True)
