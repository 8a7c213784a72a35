"""Text in pictures: whatever the script, letters or codes are drawn, never boxes, and matplotlib does not complain."""

import warnings

import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from project.work.pages import fonts


@pytest.fixture(autouse=True)
def _no_fonts_of_the_system(monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda *a, **k: [])
    monkeypatch.setattr(fonts, "_SAID", set())
    for cache in (fonts._files, fonts._font_for):
        cache.cache_clear()
    yield
    for cache in (fonts._files, fonts._font_for):
        cache.cache_clear()


def ink(text, font):
    picture = Image.new("L", (300, 40), 255)
    ImageDraw.Draw(picture).text((4, 4), text, 0, font)
    return picture.tobytes()


def test_letters_that_a_font_has_are_drawn_and_differ():
    assert fonts.for_pillow("cat", 17)[1].getname()[0] == "Aileron"  # as ever
    for text, others in (("é", "è"), ("жук", "жуж")):
        drawn = [fonts.for_pillow(each, 17) for each in (text, others)]
        assert [shown for shown, _ in drawn] == [text, others]
        assert ink(*drawn[0]) != ink(*drawn[1])


def test_letters_that_no_font_has_are_codes_and_that_is_said_once(capsys):
    assert fonts.for_pillow("漢 cat", 17)[0] == r"\u6f22 cat"
    assert fonts.for_pillow("字", 17)[0] == r"\u5b57"
    said = capsys.readouterr().err
    assert said.startswith("note: no font here has 漢")
    assert said.count("\n") == 1


def test_what_cannot_be_seen_is_a_code_or_left_out():
    assert fonts.for_pillow("a\nb\udc80", 17)[0] == r"a\nb\udc80"
    assert fonts.for_pillow("a\u200db", 17)[0] == "ab"


def test_figures_take_any_text_without_a_warning(capsys):
    figure = Figure()
    title = figure.suptitle("漢 ж $\\no formula$")
    figure.subplots().set_ylabel("two\nlines é")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fonts.for_matplotlib(figure)
        figure.savefig("/dev/null", format="png")
    assert title.get_text() == "\\u6f22 ж $\\no formula$"
    assert "漢" in capsys.readouterr().err
