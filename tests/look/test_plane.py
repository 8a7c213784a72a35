"""A map places what is alike together, in bounded time, and says how."""

import numpy as np

from project.work.look import plane


def test_clusters_stay_apart() -> None:
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(centre, 1, (40, 16)) for centre in (-8, 0, 8)])
    made = plane.place(points, np.zeros(120, bool))
    middles = [made.places[start : start + 40].mean(axis=0) for start in (0, 40, 80)]
    spread = max(np.linalg.norm(made.places[start : start + 40] - middle, axis=1).mean()
                 for start, middle in zip((0, 40, 80), middles, strict=True))  # fmt: skip
    apart = min(np.linalg.norm(middles[one] - middles[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    assert apart > 2 * spread
    assert "t-SNE" in made.how


def test_few_pictures_have_a_map_too() -> None:
    for count in (2, 3, 11):
        made = plane.place(np.random.default_rng(0).normal(size=(count, 8)), np.zeros(count, bool))
        assert made.places.shape == (count, 2)
        assert ((made.places >= 0) & (made.places <= plane.SIZE)).all()


def test_a_large_set_is_sampled_with_its_marked_ones(monkeypatch) -> None:
    monkeypatch.setattr(plane, "POINTS", 100)
    marked = np.arange(1000) % 50 == 0
    made = plane.place(np.random.default_rng(0).normal(size=(1000, 8)), marked)
    assert len(made.rows) == len(set(made.rows.tolist())) == 100
    assert set(np.flatnonzero(marked)) <= set(made.rows.tolist())
    assert "100 of the 1,000" in made.how
