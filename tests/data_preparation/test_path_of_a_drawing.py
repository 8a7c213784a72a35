"""How many modules of this project a drawing enters on its way from its row in a file to its place in a data set."""

import json
import os
import subprocess
import sys

import pytest

from project.work.common import CODE
from project.work.files import disk

pytestmark = pytest.mark.slow

MOST = 10
PATHS_ALONE = {disk.__name__, disk.__name__}  # they check and replace files by name, and no drawing enters them
# From the call that reads and draws a shard to the end of the one that makes the data set of all.
TRACED = """
import json, sys, threading
code, *flags = sys.argv[1:]
sys.path.insert(0, code)
from project.data_preparation import quickdraw
first, last = quickdraw.draw_shard.__code__, quickdraw.Assembly.assemble.__code__
entered, under_way = [], False

def watch(frame, event, argument):
    global under_way
    if event == "call" and frame.f_code is first:
        under_way = True
    name = frame.f_globals.get("__name__", "")
    if under_way and event == "call" and name.startswith("project.") and name not in entered:
        entered.append(name)
    if event == "return" and frame.f_code is last:
        under_way = False

sys.setprofile(watch)
threading.setprofile(watch)
quickdraw.main(flags)
sys.setprofile(None)
print(json.dumps(entered))
"""


def kaggle(folder, word):
    (folder / "train_simplified").mkdir(exist_ok=True)
    row = 'US,"[[[0, 9], [0, 255]], [[7], [7]]]",{key},True,2017-01-22 10:00:00.0,{word}\n'
    rows = "".join(row.format(key=f"{word}{key}", word=word) for key in range(4))
    text = "countrycode,drawing,key_id,recognized,timestamp,word\n" + rows
    (folder / "train_simplified" / f"{word}.csv").write_text(text)


def raw_ndjson(folder, word):
    row = {"word": word, "countrycode": "US", "recognized": True, "drawing": [[[0, 900], [0, 300], [0, 25]]]}
    lines = (json.dumps(row | {"key_id": f"{word}{key}"}) for key in range(4))
    (folder / f"{word}.ndjson").write_text("\n".join(lines))


@pytest.mark.parametrize("form", [kaggle, raw_ndjson])
def test_a_drawing_passes_few_modules(tmp_path, form):
    for word in ("cat", "dog"):
        form(tmp_path, word)
    flags = [f"--input={tmp_path}", f"--output={tmp_path / 'out'}", "--per-class=4"]
    # Compiled functions are not seen being called, so they run as Python here.
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", TRACED, str(CODE), *flags]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    entered = set(json.loads(done.stdout.splitlines()[-1])) - PATHS_ALONE
    assert len(entered) <= MOST, f"{len(entered)} modules: {', '.join(sorted(entered))}"
    assert len(entered) >= 5, f"the trace missed some: {', '.join(sorted(entered))}"
