"""Things people make, as people draw them: one function a class, each with several ways.

Numbers are places and sizes in a frame about one unit high, y down; chances imitate how often people add a part.
"""

import math

from project.data_preparation.sources.doodle.pen import Pen


def car(pen: Pen) -> None:
    h, roof, a, b = pen.about(0.22), pen.about(0.24), pen.between(-0.5, -0.2), pen.between(0.15, 0.45)
    cabin = [(a - pen.between(0, 0.15), -h), (a, -h - roof), (b, -h - roof), (b + pen.between(0, 0.2), -h)]
    style = pen.pick("outline", "box", "dome", weights=(0.5, 0.3, 0.2))
    if style == "outline":
        pen.line((-0.7, 0), (-0.7, -h), *cabin, (0.7, -h * pen.between(0.7, 1)), (0.7, 0), close=True)
    else:
        pen.line((-0.7, 0), (-0.7, -h), (0.7, -h), (0.7, 0), close=True)
        if style == "box":
            pen.line(*cabin)
        else:
            pen.arc((a + b) / 2, -h, 0.42, roof * 1.2, 0.5, 1)
    r, spread = pen.about(0.13, 0.25), pen.between(0.35, 0.48)
    for x in (-spread, spread):
        pen.ring(x, 0.04, r, r)
        if pen.maybe(0.2):
            pen.ring(x, 0.04, r / 2, r / 2)
    for _ in range(pen.pick(0, 1, 2, weights=(0.5, 0.25, 0.25))):
        x = pen.between(a, b - 0.2)
        pen.line((x, -h - 0.03), (x, -h - roof * 0.8), (x + 0.2, -h - roof * 0.8), (x + 0.2, -h - 0.03), close=True)
    if pen.maybe(0.15):
        pen.ring(0.65, -h * 0.6, 0.05, 0.05)


def chair(pen: Pen) -> None:
    w, legs, back = pen.about(0.5), pen.about(0.5), pen.about(0.6)
    if pen.maybe(0.55):
        far = pen.pick(0, pen.between(0.05, 0.15))
        pen.line((0, -back), (0, 0), (w, 0), (w, legs)) if pen.maybe(0.6) else pen.line((0, -back), (0, 0), (w, 0))
        pen.line((0, 0), (pen.between(-0.08, 0.04), legs))
        if pen.strokes[0][-1][1] < legs / 2:
            pen.line((w, 0), (w + pen.between(-0.04, 0.08), legs))
        if far and pen.maybe(0.5):
            pen.line((far, 0), (far, legs * 0.85))
            pen.line((w - far, 0), (w - far, legs * 0.85))
        return
    slope, deep = pen.between(0.1, 0.25), pen.between(0.12, 0.28)
    pen.line((0, 0), (w, 0), (w + slope, deep), (slope, deep), close=True)
    for x, y in ((0, 0), (w, 0), (slope, deep), (w + slope, deep))[pen.pick(0, 2) :]:
        pen.line((x, y), (x, y + legs))
    pen.line((0, 0), (0, -back), (w, -back), (w, 0)) if pen.maybe(0.75) else pen.arc(w / 2, 0, w / 2, back, 0.5, 1)
    for i in range(pen.pick(0, 2, 3, weights=(0.6, 0.25, 0.15))):
        pen.line((w * (i + 1) / 4, 0), (w * (i + 1) / 4, -back))


def cup(pen: Pen) -> None:
    w, base, h = pen.about(0.34), pen.between(0.5, 1), pen.about(0.75)
    rim = pen.pick("oval", "line", "closed", weights=(0.35, 0.4, 0.25))
    if pen.maybe(0.65):
        pen.line((-w, 0), (-w * base, h), (w * base, h), (w, 0), close=rim == "closed")
    else:
        pen.curve((-w, 0), (-w, 0.45 * h), (-0.6 * w, 0.9 * h), (0, h), (0.6 * w, 0.9 * h), (w, 0.45 * h), (w, 0))
    if rim == "oval":
        pen.ring(0, 0, w, pen.about(0.09))
    elif rim == "line":
        pen.line((-w, 0), (w, 0))
    if pen.maybe(0.62):
        out, top, low = pen.about(0.26), h * pen.between(0.08, 0.25), h * pen.between(0.55, 0.85)
        for k in (1, 0.6)[: pen.pick(1, 2, weights=(0.7, 0.3))]:
            middle, half = (top + low) / 2, k * (low - top) / 2
            edge, far = 0.97 * w, w + k * out
            pen.curve(
                (edge, middle - half), (far, middle - 0.6 * half), (far, middle + 0.5 * half), (edge, middle + half)
            )
    if pen.maybe(0.2):
        pen.line((-w * 0.9, h * 0.3), (w * 0.9, h * 0.3))
    if pen.maybe(0.12):
        for x in (-0.12, 0.08):
            pen.curve((x, -0.12), (x + 0.06, -0.2), (x, -0.28), (x + 0.05, -0.38))


def house(pen: Pen) -> None:
    w, h, roof, eaves = pen.about(0.45), pen.about(0.32), pen.about(0.38, 0.25), pen.pick(0, pen.between(0, 0.12))
    if pen.maybe(0.25):
        pen.line((-w, h), (-w, -h), (0, -h - roof), (w, -h), (w, h), close=True)
        if pen.maybe(0.6):
            pen.line((-w, -h), (w, -h))
    else:
        pen.line((-w, -h), (w, -h), (w, h), (-w, h), close=True)
        pen.line((-w - eaves, -h), (pen.between(-0.1, 0.1), -h - roof), (w + eaves, -h), close=pen.maybe(0.4))
    if pen.maybe(0.2):
        side = pen.between(0.3, 0.8)
        pen.line((0, -h - roof), (side, -h - roof * 0.9), (w + side, -h), (w + side, h), (w, h))
    if pen.maybe(0.6):
        x, d = pen.between(-0.25, 0.1), pen.about(0.18)
        pen.line((x, h), (x, h - 1.7 * d), (x + d, h - 1.7 * d), (x + d, h))
    for x in (-0.6 * w, 0.55 * w)[: pen.pick(0, 1, 2, weights=(0.55, 0.25, 0.2))]:
        s = pen.about(0.08)
        pen.line((x - s, -0.1 - s), (x + s, -0.1 - s), (x + s, -0.1 + s), (x - s, -0.1 + s), close=True)
        if pen.maybe(0.4):
            pen.line((x, -0.1 - s), (x, -0.1 + s))
            pen.line((x - s, -0.1), (x + s, -0.1))
    if pen.maybe(0.15):
        pen.line((0.5 * w, -h - roof * 0.5), (0.5 * w, -h - roof), (0.75 * w, -h - roof), (0.75 * w, -h - roof * 0.25))


def key(pen: Pen) -> None:
    pen.turn = pen.pick(0, 0.25, -0.25, 0.12, weights=(0.4, 0.3, 0.15, 0.15)) * 2 * math.pi + pen.rng.normal(0, 0.2)
    r, shaft, wide = pen.about(0.17, 0.25), pen.about(0.65), pen.pick(0, pen.about(0.07), weights=(0.55, 0.45))
    pen.ring(-r, 0, r, r * pen.about(0.95))
    if pen.maybe(0.35):
        pen.ring(-1.2 * r, 0, r * 0.4, r * 0.4)
    teeth, size = pen.count(2, 4), pen.about(0.11)
    bits = []
    for i in range(teeth):
        x = shaft * (1 - 0.17 * i)
        bits += [(x, wide), (x - 0.02, wide + size), (x - 0.08, wide + size), (x - 0.08, wide)]
    if wide:
        edge = bits if pen.maybe(0.6) else [(x, y - size * pen.between(0, 0.6)) for x, y in bits]
        pen.line((0, -wide), (shaft, -wide), *edge, (0, wide))
        return
    pen.line((0, 0), (shaft, 0))
    for i in range(teeth - 1):
        x = shaft * (1 - 0.17 * i)
        if pen.maybe(0.6):
            pen.line((x, 0), (x, size))
        else:
            pen.line((x, 0), (x, size), (x - 0.09, size), (x - 0.09, 0))


def sailboat(pen: Pen) -> None:
    w, deep, mast, side = pen.about(0.55, 0.12), pen.about(0.22, 0.25), pen.about(0.7), pen.pick(1, -1)
    hull = pen.pick("flat", "moon", "curve", weights=(0.4, 0.35, 0.25))
    if hull == "flat":
        pen.line((-w, 0), (w, 0), (w * 0.65, deep), (-w * 0.65, deep), close=True)
    else:
        pen.curve((-w, 0), (-w * 0.7, deep * 0.8), (0, deep), (w * 0.7, deep * 0.8), (w, 0))
        if hull == "moon":
            pen.line((-w, 0), (w, 0))
        else:
            pen.curve((-w, 0), (0, deep * 0.3), (w, 0))
    x, foot, reach = pen.between(-0.12, 0.12), -pen.between(0.03, 0.2), pen.about(0.4)
    if pen.maybe(0.8):
        pen.line((x, 0), (x, -mast))
    sail = pen.pick("half", "flag", "two", "middle", weights=(0.5, 0.2, 0.2, 0.1))
    low = -mast * pen.between(0.45, 0.65) if sail == "flag" else foot
    if sail == "middle":
        pen.line((x - reach, foot), (x, -mast), (x + reach, foot), close=True)
    else:
        pen.line((x, -mast), (x + side * reach, (low - mast) / 2 if sail == "flag" else low), (x, low))
    if sail == "two":
        pen.line((x, -mast), (x - side * reach * 0.7, foot), (x, foot))
    if pen.maybe(0.1):
        pen.curve(*((-0.8 + 0.2 * i, deep + 0.08 + 0.05 * (i % 2)) for i in range(9)))


def table(pen: Pen) -> None:
    legs, thick = pen.about(0.45, 0.25), pen.pick(0, pen.about(0.09, 0.3), weights=(0.45, 0.55))
    style = pen.pick("front", "tilted", "round", weights=(0.55, 0.33, 0.12))
    feet = [(-0.5, thick), (0.5, thick)]
    if style == "tilted":
        slope, deep = pen.between(0.12, 0.35), pen.between(0.15, 0.35)
        pen.line((-0.6 + slope, 0), (0.6, 0), (0.6 - slope, deep), (-0.6, deep), close=True)
        feet = [(-0.6, deep), (0.6 - slope, deep), (0.6, 0), (-0.6 + slope, deep)][: pen.pick(3, 4, 2)]
    elif style == "round":
        pen.ring(0, 0, 0.6, pen.about(0.16))
        feet = [(-0.45, 0.1), (0.45, 0.1), (-0.15, 0.15), (0.15, 0.15)][: pen.pick(2, 3, 4)]
    elif thick:
        pen.line((-0.6, 0), (0.6, 0), (0.6, thick), (-0.6, thick), close=True)
    else:
        pen.line((-0.6, 0), (0.6, 0))
    splay = pen.pick(0, pen.rng.normal(0, 0.07))
    for i, (x, y) in enumerate(feet):
        length = legs * (0.7 if style != "round" and i > 1 else 1)
        pen.line((x, y), (x + splay * (1 if x > 0 else -1), y + length))
        if style == "front" and thick and pen.maybe(0.45):
            inner = x + (-0.09 if x > 0 else 0.09)
            pen.line((x, y + length), (inner, y + length), (inner, y))
    if pen.maybe(0.06):
        pen.curve((-0.08, 0), (-0.12, -0.15), (-0.05, -0.3), (0.06, -0.28), (0.1, -0.12), (0.07, 0))


def umbrella(pen: Pen) -> None:
    w, h, stem, hook = 0.55, pen.about(0.42, 0.25), pen.about(0.6), pen.about(0.11)
    if pen.maybe(0.85):
        pen.arc(0, 0, w, h, 0.5, 1)
    else:
        pen.line((-w, 0), (0, -h), (w, 0))
    edge, scallops = pen.pick("line", "scallops", "zigzag", weights=(0.4, 0.48, 0.12)), pen.count(3, 6)
    if edge == "line":
        pen.line((-w, 0), (w, 0))
    else:
        step, rise = 2 * w / scallops, pen.about(0.1)
        tops = [(-w + step * (i + 0.5), -rise) for i in range(scallops)]
        if edge == "zigzag":
            pen.line((-w, 0), *(p for x, y in tops for p in ((x, y), (x + step / 2, 0))))
        else:
            for x, _ in tops:
                pen.arc(x, 0, step / 2, rise, 0.5, 1)
    if pen.maybe(0.93):
        side = pen.pick(1, -1)
        bend = [(0, stem), (side * hook, stem + hook), (2 * side * hook, stem)] if pen.maybe(0.65) else [(0, stem)]
        pen.curve((0, -h * pen.pick(0, 1)), (0, stem / 2), *bend)
    for x in (-0.2, 0.2)[: pen.pick(0, 2, 1, weights=(0.65, 0.2, 0.15))]:
        pen.curve((0, -h), (x * 0.8, -h * 0.6), (x, -0.05))
    if pen.maybe(0.2):
        pen.line((0, -h), (0, -h - 0.1))
