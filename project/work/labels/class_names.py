"""Names of classes as people write them: which of them are one name, and which look alike and are two."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_WIDE = re.compile("[\u3000\uff00-\uffef]+")  # full and half width forms, which fonts alone tell apart


def canonical(name: str) -> str:
    """A name as it is written down: composed, of usual width, without blanks that nobody sees.

    Two names of one canonical form cannot be told apart on a screen. What is already in that form stays as it is.
    """
    usual = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), name)
    seen = "".join(letter for letter in usual if not _is_invisible(letter))
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def _is_invisible(letter: str) -> bool:
    """Whether a character takes no room: joiners, marks of direction and of byte order, soft hyphens, controls."""
    return unicodedata.category(letter) in ("Cf", "Cc") and not letter.isspace()


def notes(written: Iterable[str]) -> list[str]:
    """What to tell a person of names as they were written: which became one, and which differ by capitals alone."""
    by_form: dict[str, set[str]] = defaultdict(set)
    by_capitals: dict[str, set[str]] = defaultdict(set)
    for name in written:
        by_form[canonical(name)].add(name)
        by_capitals[canonical(name).casefold()].add(canonical(name))
    one = [(form, sorted(names)) for form, names in sorted(by_form.items()) if len(names) > 1]
    alike = [sorted(names) for _, names in sorted(by_capitals.items()) if len(names) > 1]
    return [
        *(f"{', '.join(map(ascii, names))} are one class, {form}: they look the same" for form, names in one),
        *(f"{' and '.join(names)} differ by capitals alone and are {len(names)} classes" for names in alike),
    ]
