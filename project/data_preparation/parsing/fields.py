"""Compiled scanners that find the fields of plain CSV and JSON lines.

They accept only a subset of the formats (ASCII, no escapes) and report each line that they do not accept. The careful
readers of rows.py read those: they know the whole formats and their error messages.
"""

import numpy as np

from project.work.raster.raster import compiled

QUOTE, COMMA, COLON, BACKSLASH, RETURN, SPACE, TAB = 34, 44, 58, 92, 13, 32, 9
_PLAIN = np.array([SPACE <= code < 127 and code not in (QUOTE, BACKSLASH) for code in range(256)])
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 91, 93, 123, 125
MINUS, PLUS, POINT, ZERO, NINE = 45, 43, 46, 48, 57
SMALL_E, LARGE_E = 101, 69
LONGEST_KEY = 200  # characters, at most; also of other fields that are kept
STRIDE = 64  # characters checked together, so that compilers vectorise the check


@compiled
def csv_fields(
    text: np.ndarray, starts: np.ndarray, ends: np.ndarray, columns: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find fields of CSV lines.

    text: uint8; starts, ends: int64 (N,), of the lines in it; columns: the number in a line; wanted: int64 (F,), those
    to find. Returns int64 (N, F, 2), start and end of each field without quotes, and bool (N,), accepted.
    """
    spans = np.zeros((len(starts), len(wanted), 2), np.int64)
    good = np.zeros(len(starts), np.bool_)
    edges = np.empty((columns, 2), np.int64)
    for line in range(len(starts)):
        end = ends[line]
        while end > starts[line] and text[end - 1] == RETURN:
            end -= 1
        if _csv_line(text, starts[line], end, edges):
            good[line] = True
            for number in range(len(wanted)):
                spans[line, number] = edges[wanted[number]]
    return spans, good


@compiled
def _csv_line(text: np.ndarray, at: int, end: int, edges: np.ndarray) -> bool:
    for column in range(len(edges)):
        if at < end and text[at] == QUOTE:
            start = at + 1
            after = _closing_quote(text, start, end)
            if after < 0:
                return False
            edges[column, 0], edges[column, 1] = start, after
            at = after + 1
        else:
            start = at
            while at < end and text[at] != COMMA:
                if text[at] == QUOTE or text[at] > 126 or text[at] < SPACE:
                    return False
                at += 1
            edges[column, 0], edges[column, 1] = start, at
        if column == len(edges) - 1:
            return at == end
        if at >= end or text[at] != COMMA:
            return False
        at += 1
    return False


@compiled
def _closing_quote(text: np.ndarray, at: int, end: int) -> int:
    """The position of the next quote; -1 if the text before it is not plain."""
    while at + STRIDE <= end and _all_plain(text, at):
        at += STRIDE
    while at < end and _PLAIN[text[at]]:
        at += 1
    return at if at < end and text[at] == QUOTE else -1


@compiled
def _all_plain(text: np.ndarray, at: int) -> bool:
    """Whether the next STRIDE characters are plain. It has no branches, so that it is vectorised."""
    odd = False
    for ahead in range(STRIDE):
        code = text[np.uint64(at + ahead)]  # numba checks a signed index for being negative, which costs time
        odd |= (code < SPACE) | (code > 126) | (code == QUOTE) | (code == BACKSLASH)
    return not odd


@compiled
def json_fields(
    text: np.ndarray, starts: np.ndarray, ends: np.ndarray, names: np.ndarray, kinds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find fields of JSON objects, one a line; each must occur once.

    As csv_fields; names: uint8 (F, W), of the fields, padded with zeros; kinds: uint8 (F,), the first
    character that each value must have (0 for a plain word such as true). A string's span leaves its quotes out.
    """
    spans = np.zeros((len(starts), len(names), 2), np.int64)
    good = np.zeros(len(starts), np.bool_)
    for line in range(len(starts)):
        good[line] = _json_line(text, starts[line], ends[line], names, kinds, spans[line])
    return spans, good


@compiled
def _json_line(text: np.ndarray, at: int, end: int, names: np.ndarray, kinds: np.ndarray, spans: np.ndarray) -> bool:
    found = 0
    at = _skip(text, at, end)
    if at >= end or text[at] != OPEN_OBJECT:
        return False
    while True:
        at = _skip(text, at + 1, end)
        if at >= end or text[at] != QUOTE:
            return False
        start = at + 1
        at = _closing_quote(text, start, end)
        if at < 0:
            return False
        name = _which(text, start, at, names)
        at = _skip(text, at + 1, end)
        if at >= end or text[at] != COLON:
            return False
        at = _skip(text, at + 1, end)
        first = at
        at = _json_value(text, at, end)
        if at < 0:
            return False
        if name >= 0:
            quoted = text[first] == QUOTE
            plain = kinds[name] == 0 and not quoted and text[first] != OPEN_LIST
            if (text[first] != kinds[name] and not plain) or spans[name, 1] > 0:
                return False
            found += 1
            spans[name, 0], spans[name, 1] = first + quoted, at - quoted
        at = _skip(text, at, end)
        if at >= end or text[at] != COMMA:
            break
    return found == len(names) and at < end and text[at] == CLOSE_OBJECT and _skip(text, at + 1, end) == end


@compiled
def _json_value(text: np.ndarray, at: int, end: int) -> int:
    """The position after a string, a list without strings, a number or a word; -1 for anything else."""
    if at >= end:
        return -1
    if text[at] == QUOTE:
        return _closing_quote(text, at + 1, end) + 1 or -1
    depth = 0
    while at < end:
        here = text[at]
        if here == OPEN_LIST:
            depth += 1
        elif here == CLOSE_LIST:
            depth -= 1
            if depth == 0:
                return at + 1
        elif depth == 0 and (here in (COMMA, CLOSE_OBJECT)):
            break
        elif here in (QUOTE, OPEN_OBJECT) or here < SPACE or here > 126:
            return -1
        at += 1
    while at > 0 and text[at - 1] == SPACE:
        at -= 1
    return at if depth == 0 else -1


@compiled
def _skip(text: np.ndarray, at: int, end: int) -> int:
    while at < end and (text[at] == SPACE or text[at] == TAB or text[at] == RETURN):
        at += 1
    return at


@compiled
def _which(text: np.ndarray, start: int, end: int, names: np.ndarray) -> int:
    for number in range(len(names)):
        length = end - start
        same = length <= names.shape[1] and (length == names.shape[1] or names[number, length] == 0)
        for place in range(length if same else 0):
            same = same and text[start + place] == names[number, place]
        if same:
            return number
    return -1


@compiled
def hold_to(text: np.ndarray, spans: np.ndarray, good: np.ndarray, word: np.ndarray) -> None:
    """Mark lines as not good, and clear their spans, if their fields need the careful reader.

    spans: int64 (N, F, 2), of key, country, recognized, drawing and, if `word` is not empty, the word, which must equal
    it; word: uint8 (W,).
    """
    for line in range(len(spans)):
        if good[line]:
            short = spans[line, 1, 1] - spans[line, 1, 0] <= LONGEST_KEY
            short &= spans[line, 2, 1] - spans[line, 2, 0] <= LONGEST_KEY
            good[line] = short and _plain_key(text, spans[line, 0, 0], spans[line, 0, 1])
            if len(word) > 0:
                good[line] &= _equal(text, spans[line, 4, 0], spans[line, 4, 1], word)
        if not good[line]:
            spans[line] = 0


@compiled
def _plain_key(text: np.ndarray, start: int, end: int) -> bool:
    """Whether a key is certainly valid: short, no blank around it, and not a number that may have been rounded."""
    if end <= start or end - start > LONGEST_KEY or text[start] == SPACE or text[end - 1] == SPACE:
        return False
    at = start
    while at < end and ZERO <= text[at] <= NINE:
        at += 1
    word = at == end
    while at < end and not word:
        code = text[at]
        number = ZERO <= code <= NINE
        word = not number and code not in (MINUS, PLUS, POINT, COMMA, SPACE, SMALL_E, LARGE_E)
        at += 1
    return word


@compiled
def _equal(text: np.ndarray, start: int, end: int, word: np.ndarray) -> bool:
    same = end - start == len(word)
    for place in range(len(word) if same else 0):
        same = same and text[start + place] == word[place]
    return same


@compiled
def copied(text: np.ndarray, spans: np.ndarray, out: np.ndarray) -> None:
    """Copy spans, int64 (N, 2), of a text into the rows of out, uint8 (N, W), where W is the longest span."""
    for row in range(len(spans)):
        for place in range(spans[row, 1] - spans[row, 0]):
            out[row, place] = text[spans[row, 0] + place]
