"""A browser in which an audit's page is reviewed, what the page exports there, and what it says after a while."""

import csv
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browser import Browser, browser


@contextmanager
def reviewing(downloads: Path) -> Iterator[Browser]:
    """A browser window that knows the folder of its downloads."""
    with browser(downloads) as window:
        window.downloads = downloads
        yield window


def exported(window: Browser) -> str:
    """What the page exports as corrections.csv, which stays in the folder of downloads."""
    path = window.downloads / "corrections.csv"
    path.unlink(missing_ok=True)
    window.click("#export")
    for _ in range(1200):
        if path.exists() and path.stat().st_size > 0:
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError("nothing was downloaded")


def waited(window: Browser, selector: str, words: str) -> str:
    """What an element says once it says these words, or after a minute without them."""
    for _ in range(1200):
        if words in window.text(selector):
            break
        time.sleep(0.05)
    return window.text(selector)


def numbers(text: str) -> str:
    """An export without the names, as files of corrections were before."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(line[:4] for line in csv.reader(io.StringIO(text)))
    return written.getvalue()
