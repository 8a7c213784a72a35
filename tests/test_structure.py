"""Rooms: which may import which, from the top floor down; no circles; how many modules a plain run enters."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from project.work.common import ROOT

# From the top floor down. A room imports from its own floor or from those below, files of one room from each other.
FLOORS = (
    ("tasks",),
    ("project.command",),
    ("make_command", "ai_platform"),
    ("project.work.main",),
    ("project.work.predict",),
    ("project.work.look",),
    ("project.work.audit", "project.work.study"),
    ("project.work.teacher",),
    ("project.work.features.stage",),
    ("project.work.runner",),
    ("project.work.features",),
    ("project.work.reporter",),
    ("project.work.classifier",),
    ("project.data_preparation",),  # prediction reads pictures and strokes by it
    ("project.work.pages",),
    ("project.work.model",),
    ("project.work.networks",),
    ("project.work.dataset", "project.work.unknown"),
    ("project.work.raster", "project.work.labels", "project.work.picture_files"),
    ("project.work.machine",),
    ("project.work.run_folder",),
    ("project.work.settings",),
    ("project.work.files",),
    ("project.work.common",),
    ("project",),
)


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    top = [ROOT / name for name in ("tasks.py", "make_command.py", "ai_platform.py")]
    rooms = [ROOT / "project" / name for name in ("command", "data_preparation", "work")]
    files = [*top, ROOT / "project" / "__init__.py", *(path for room in rooms for path in room.rglob("*.py"))]
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    return {name: path for path, name in names.items()}


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known.keys()


def arrows() -> dict[str, set[str]]:
    """Which module imports which."""
    known = modules()
    return {name: imports(path, known) for name, path in known.items()}


def floor(name: str) -> int:
    """The number of a module's floor, 0 for the ground."""
    rooms = {room: len(FLOORS) - at for at, floor in enumerate(FLOORS) for room in floor}
    return rooms[max((room for room in rooms if f"{name}.".startswith(f"{room}.")), key=len)]


def test_no_import_goes_back_up() -> None:
    up = [f"{name} -> {other}" for name, others in arrows().items() for other in others if floor(other) > floor(name)]
    assert up == []


def test_no_imports_go_in_a_circle() -> None:
    there = arrows()
    gone: set[str] = set()
    while leaves := {name for name, others in there.items() if name not in gone and not others - gone}:
        gone |= leaves
    assert sorted(there.keys() - gone) == []


# Runs main.py and prints the modules of the project of which a function is called.
TRACED = """
import sys, threading
from pathlib import Path

root, entered = sys.argv[1], set()

def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(root) and not code.co_name.startswith("<") and code.co_flags & 1:
        entered.add(str(Path(code.co_filename).relative_to(root)))

from project.work import main
threading.setprofile(note)
sys.setprofile(note)
main.main(sys.argv[2:])
sys.setprofile(None)
print("entered", *sorted(entered))
"""


@pytest.mark.slow
def test_a_plain_training_run_enters_thirty_modules_at_most(prepared: Path, tmp_path: Path) -> None:
    words = [f"--dataset={prepared}", f"--output={tmp_path}", "--epoch=1", "--device=cpu", "--uuid=plain"]
    command = [sys.executable, "-c", TRACED, f"{ROOT / 'project'}/", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=ROOT)
    entered = done.stdout.splitlines()[-1].split()[1:]
    assert "work/runner/base_runner.py" in entered
    assert len(entered) <= 30, entered
