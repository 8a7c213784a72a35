"""The arithmetic behind the benchmarks' tables, by hand."""

import sys
from pathlib import Path

import chart
import measure
import pytest
import table
from measure import Contender, Cost, Options

from project.work.common import UserError

COSTS = {
    "ours": [Cost(100, 1, 2), Cost(100, 2, 2), Cost(100, 4, 2)],
    "theirs": [Cost(50, 5, 5), Cost(50, 5, 10), Cost(50, 5, 1)],
}
CONTENDERS = [Contender("ours", None), Contender("absent", None, measure.ABSENT), Contender("theirs", None)]


def test_contenders_have_their_turns_one_after_the_other() -> None:
    seen = []
    contenders = [Contender(name, lambda name=name: seen.append(name) or 1) for name in "ab"]
    costs = measure.in_turn([*contenders, Contender("absent", None)], rounds=2)
    assert "".join(seen) == "ab" + "ab" + "ab"  # the first for warmth
    assert {name: len(each) for name, each in costs.items()} == {"a": 2, "b": 2}


def test_ratios_are_of_rounds_and_not_of_medians() -> None:
    assert measure.ratios([8, 6, 9], [2, 3, 1]) == (4, 2, 9)


def test_rates_and_ratios_of_a_table() -> None:
    ours, absent, theirs = table.as_rows("group", "pictures", CONTENDERS, COSTS)
    assert (ours.per_cpu, ours.per_second, ours.cpu_ratio) == (50, 50, None)
    assert (theirs.per_cpu, theirs.per_second) == (10, 10)
    assert theirs.cpu_ratio == pytest.approx((5, 2.5, 10))  # rates 100, 50, 25 against 10, 10, 10
    assert theirs.wall_ratio == pytest.approx((5, 1, 10))  # rates 50, 50, 50 against 10, 5, 50
    assert (absent.per_cpu, absent.note) == (None, measure.ABSENT)


def test_rows_come_back_from_the_file_and_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = table.as_rows("Input pipeline", "pictures", CONTENDERS, COSTS)
    table.show(rows, Options(csv=str(tmp_path / "rows.csv")))
    assert table.read(tmp_path / "rows.csv") == rows
    printed = capsys.readouterr().out
    assert "5 (2.5 - 10)" in printed
    assert measure.ABSENT in printed
    chart.draw(rows, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_peer_whose_package_is_absent_is_listed_as_such() -> None:
    def make() -> None:
        import no_such_package_at_all  # noqa: F401

    assert measure.optional("peer", make) == Contender("peer", None, measure.ABSENT)


def test_cpu_time_counts_processes_that_ended() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    took = measure.cost(lambda: measure.process([sys.executable, "-c", busy]))
    assert took.cpu >= 0.3
    assert took.units > 1  # megabytes at the most it had


def test_a_process_that_fails_is_quoted() -> None:
    with pytest.raises(UserError, match="ended with 3: no drawings"):
        measure.process([sys.executable, "-c", "import sys; print('no drawings', file=sys.stderr); sys.exit(3)"])
