"""The review in a real browser: keys and mouse, what survives a reload, what is exported and taken in again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import Browser
from folders import KEYS, MATRIX, NAMES, audit_folder, audit_table, some_pictures
from reviewing import exported, numbers, reviewing, waited

from project.work.audit.page.page import write_page
from project.work.labels import corrections

pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page of an audit that no other test knows: what is kept in the browser is kept by its fingerprint."""
    return write_page(audit_folder(tmp_path, fingerprint=tmp_path.name), some_pictures(), NAMES)


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with reviewing(tmp_path_factory.mktemp("downloads")) as shown:
        yield shown


@pytest.fixture
def fresh(window: Browser, page: Path) -> Browser:
    """The page as a person sees it first."""
    window.open(page)
    return window


def test_the_first_suspect_is_shown_with_both_names(fresh: Browser) -> None:
    assert fresh.text("#given") == NAMES[0]
    assert fresh.text("#suggested") == NAMES[1]
    assert fresh.text("#status") == "0 of 7 reviewed: 0 kept, 0 relabelled, 0 dropped"
    assert fresh.run("return document.querySelectorAll('.tile').length") == 7
    assert fresh.text(".tile .score") == "0.1%"
    # A name that looks like HTML is a name: nothing was run, and no element was made of it.
    assert fresh.run("return window.hacked === undefined && document.querySelector('main b, main script') === null")


def test_a_review_by_keys_alone_is_exported_as_corrections(fresh: Browser) -> None:
    fresh.press("k")  # the first is kept
    fresh.press("s")  # the second becomes what is suggested
    fresh.press("l", "cat", "Enter")  # the third is a third class, found by typing
    fresh.press("d", "d", "u")  # the fourth is dropped; the fifth too, but that is undone
    assert fresh.text("#status") == "4 of 7 reviewed: 1 kept, 2 relabelled, 1 dropped"
    assert fresh.text("#place").startswith("rank 5, ")
    ant, bee, cat = NAMES[0], NAMES[1], '"' + NAMES[2].replace('"', '""') + '"'
    assert exported(fresh) == (
        f'row,key_id,given_label,new_label,given_name,new_name\n0,"k,""0",0,0,{ant},{ant}\n1,k1,0,1,{ant},{bee}\n'
        f"2,k2,0,2,{ant},{cat}\n3,k3,0,drop,{ant},\n"
    )
    labels = np.repeat(np.arange(3), 10)
    read = corrections.read(fresh.downloads / "corrections.csv", labels, np.array(KEYS), NAMES)
    assert str(read) == "2 relabelled, 1 dropped, 1 kept as they were"


def test_a_reload_loses_nothing_and_goes_on_where_it_was(fresh: Browser, page: Path) -> None:
    fresh.press("d", "s")
    fresh.open(page)
    assert fresh.text("#status") == "2 of 7 reviewed: 0 kept, 1 relabelled, 1 dropped"
    assert fresh.text("#place").startswith("rank 3, ")
    fresh.press("u", "u")
    assert fresh.text("#status") == "0 of 7 reviewed: 0 kept, 0 relabelled, 0 dropped"


DECIDE_AT_ONCE = (
    "for (const key of 'ds') document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
    "window.before = true; location.reload()"
)


def test_a_reload_in_the_same_moment_loses_nothing(fresh: Browser) -> None:
    for count in (2, 4, 6):
        fresh.run(DECIDE_AT_ONCE)
        fresh.until("return window.before === undefined && document.readyState === 'complete'")
        assert fresh.text("#status").startswith(f"{count} of 7 reviewed")


def test_decisions_that_the_browser_has_not_written_yet_are_still_there(fresh: Browser, page: Path) -> None:
    fresh.press("d")
    name = fresh.run("return store.name")
    written = fresh.run(f"return localStorage.getItem('{name}')")
    fresh.press("s")
    fresh.run(f"localStorage.setItem('{name}', '{written}')")  # what is read by a page that is loaded at once
    fresh.open(page)
    assert fresh.text("#status") == "2 of 7 reviewed: 0 kept, 1 relabelled, 1 dropped"
    fresh.press("u", "u")
    fresh.open(page)  # what is undone stays undone, though the state with more decisions is older
    assert fresh.text("#status").startswith("0 of 7")


def test_a_window_that_is_new_or_another_ones_decisions_are_not_lost_either(fresh: Browser, page: Path) -> None:
    fresh.press("d", "s")
    for _ in range(100):  # a new window; localStorage is written in a process of its own
        fresh.run("window.name = ''")
        fresh.open(page)
        if fresh.text("#status").startswith("2 of 7"):
            break
    assert fresh.text("#status").startswith("2 of 7")
    fresh.run(  # as another window decides on the fifth picture
        "const kept = JSON.parse(localStorage.getItem(store.name)); kept.steps++;"
        "kept.decisions.push(['k10', [10, 1, 'drop']]); kept.past.push([['k10', null]]);"
        "localStorage.setItem(store.name, JSON.stringify(kept)); dispatchEvent(new StorageEvent('storage'))"
    )
    assert fresh.text("#status").startswith("3 of 7")
    fresh.press("d")
    assert fresh.text("#status").startswith("4 of 7")


def test_what_an_older_page_kept_is_taken_up(fresh: Browser, page: Path) -> None:
    older = '{"decisions": [["k1", [1, 0, 2]]], "past": [[["k1", null]]]}'
    fresh.run(f"window.name = 'of another page'; localStorage.setItem(store.name, '{older}')")
    fresh.until(f"return localStorage.getItem(store.name) === '{older}'")
    for _ in range(100):
        fresh.open(page)
        if fresh.text("#status").startswith("1 of 7"):
            break
    assert fresh.text("#status") == "1 of 7 reviewed: 0 kept, 1 relabelled, 0 dropped"


def test_arrows_move_and_the_mouse_does_all_that_keys_do(fresh: Browser) -> None:
    fresh.press("Right", "Right", "Left")
    assert fresh.text("#place").startswith("rank 2, ")
    fresh.run("document.getElementById('gallery').style.gridTemplateColumns = 'repeat(3, 130px)'")
    fresh.press("Down")
    assert fresh.text("#place").startswith("rank 5, ")
    fresh.press("Down", "Up")  # there is none below
    assert fresh.text("#place").startswith("rank 2, ")
    fresh.click(".tile:nth-child(4)")
    assert fresh.text("#place").startswith("rank 4, ")
    fresh.click("#drop")
    fresh.click("#first-open")
    fresh.click("#other")
    fresh.click("#options li:nth-child(1)")
    assert fresh.text("#status") == "2 of 7 reviewed: 0 kept, 1 relabelled, 1 dropped"
    fresh.click("#undo")
    assert fresh.text("#status") == "1 of 7 reviewed: 0 kept, 0 relabelled, 1 dropped"


def test_the_picker_closes_with_escape_and_decides_nothing(fresh: Browser) -> None:
    fresh.press("l", "zzz", "Enter")
    assert fresh.run("return document.getElementById('picker').open")
    fresh.press("Escape")
    assert not fresh.run("return document.getElementById('picker').open")
    assert fresh.text("#status").startswith("0 of 7")


def test_letters_can_be_switched_off(fresh: Browser) -> None:
    fresh.click("#keys")
    fresh.press("d", "k")
    assert fresh.text("#status").startswith("0 of 7")


def test_filters_by_state_and_class_are_walked_through(fresh: Browser) -> None:
    fresh.run("const s = document.getElementById('show'); s.value = 'blank'; s.dispatchEvent(new Event('change'))")
    assert fresh.text("#count") == "1 shown"
    assert "blank" in fresh.text("#place")
    fresh.click("button[data-class='1']")
    assert fresh.text("#count") == "1 shown"
    assert fresh.text("#given") == NAMES[1]


def test_earlier_corrections_come_in_again_even_of_pictures_that_are_not_here(fresh: Browser, tmp_path: Path) -> None:
    text = 'row,key_id,given_label,new_label\r\n0,"k,""0",0,2\r\n29,k29,2,drop\r\n'
    (tmp_path / "earlier.csv").write_text(text, newline="")
    fresh.give("#file", tmp_path / "earlier.csv")
    said = waited(fresh, "#status", "came from")
    assert "1 of 7 reviewed: 0 kept, 1 relabelled, 0 dropped; 1 of other pictures" in said
    assert numbers(exported(fresh)) == text.replace("\r", "")
    (tmp_path / "again.csv").write_text((fresh.downloads / "corrections.csv").read_text())
    fresh.give("#file", tmp_path / "again.csv")
    waited(fresh, "#status", "2 came from again.csv")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("row,key_id\n0,k1\n", "needs the columns row,key_id,given_label,new_label"),
        ("row,key_id,given_label,new_label\n1,k1,1,0\n", "line 2: the label of k1 is 0 here, not 1"),
        ("row,key_id,given_label,new_label\n1,k1,0,3\n", "line 2 is no correction of these 3 classes"),
        ("row,key_id,given_label,new_label\n1,k1,0,1\n1,k1,0,2\n", "names a key id twice"),
        ("row,key_id,given_label,new_label,new_name\n1,k1,0,1,cat\n", "line 2: 1 is not cat here: correct the number"),
        ("row,key_id,given_label,new_label\n", "holds no correction"),
    ],
)
def test_corrections_of_something_else_are_refused_whole(fresh: Browser, tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    fresh.give("#file", tmp_path / "other.csv")
    assert fault in waited(fresh, "#problem", "Nothing was taken")
    assert fresh.text("#status").startswith("0 of 7")


def test_tables_sort_and_the_matrix_says_what_it_shows(fresh: Browser) -> None:
    fresh.click("#class-table th:nth-child(3) button")  # flagged, the most first
    assert fresh.text("#class-table tbody tr th").strip() == NAMES[0]
    fresh.click("#class-table th:nth-child(1) button")
    assert fresh.run("return document.querySelector('#class-table th').getAttribute('aria-sort')") == "ascending"
    fresh.run(
        "const m = document.getElementById('heat-map'); m.scrollIntoView();"
        "const p = new DOMPoint(15, 5).matrixTransform(m.getScreenCTM());"
        "m.dispatchEvent(new MouseEvent('mousemove', {clientX: p.x, clientY: p.y, bubbles: true}))"
    )
    assert fresh.text("#cell") == f"{NAMES[0]} labelled {NAMES[1]}: 20.0%"


LONG = ["Συμβόλαιο" * 12, "Klassenname-" * 12, "猫" * 60]


@pytest.mark.parametrize("shape", [(16, 16), (200, 300, 3)])
def test_on_a_phone_the_page_opens_at_its_top_and_is_as_wide_as_the_screen(
    window: Browser, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    table = audit_table().assign(key_id=[f"{'folder' * 20}/{row}.jpeg" for row in range(30)])
    folder = audit_folder(tmp_path, table, fingerprint=tmp_path.name, logits="/folder" * 40)
    pd.read_csv(folder / "classes.csv").assign(name=LONG).to_csv(folder / "classes.csv", index=False)
    pd.DataFrame(MATRIX, index=LONG, columns=LONG).to_csv(folder / "transition.csv")
    path = write_page(folder, some_pictures(shape), LONG)
    try:
        window.screen(390, 844)
        window.open(path)
        assert window.run("return [scrollX, scrollY, innerWidth, document.documentElement.scrollWidth]") == [
            0,
            0,
            390,
            390,
        ]
        box = window.run("return document.getElementById('large').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0
        assert box["right"] <= 390
        assert box["bottom"] <= 844
        assert box["width"] / box["height"] == pytest.approx(shape[1] / shape[0], rel=0.03)
        window.press("d")
        assert window.run("return scrollY") == 0
        window.run("document.querySelector('.tile:nth-child(5)').scrollIntoView()")
        window.click(".tile:nth-child(5)")
        assert 0 <= window.run("return document.getElementById('large').getBoundingClientRect().top") <= 400
    finally:
        window.screen(1400, 1000)


@pytest.mark.slow
def test_nothing_on_the_page_is_without_a_name(fresh: Browser) -> None:
    nameless = (
        "return [...document.querySelectorAll('button, input, select, [role=img]')].filter(e => !(e.textContent.trim()"
        " || e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert fresh.run(nameless) == []
