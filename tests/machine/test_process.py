"""A command is stopped in one line and with the exit code of shells, and loses no work to a closed output."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BEGIN = "import os, sys, time; from project.work.machine import process; process.begin()\n"
WORK = f"""{BEGIN}
from project.work.machine.process import Interrupted, run_command
def main():
    try:
        with process.stoppable():
            try:
                print("works", os.getpid(), flush=True)
                time.sleep(100)
            finally:
                time.sleep(0.5)  # puts away what it has begun
                print("put away", flush=True)
    except KeyboardInterrupt as stop:
        raise Interrupted("stopped; the same command goes on", stop) from None
run_command(main)
"""


def start(program: str, *words: str) -> subprocess.Popen:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def parent(program: str) -> str:
    """A program that runs another in the foreground."""
    return f"{BEGIN}sys.exit(process.foreground([sys.executable, '-c', {program!r}], begins=True))"


@pytest.mark.parametrize("around", [str, parent], ids=["alone", "by its parent"])
@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_three_quick_signals_stop_in_one_line_and_disturb_no_putting_away(around: type, word: signal.Signals) -> None:
    process = start(around(WORK))
    assert process.stdout.readline().startswith("works")
    for _ in range(3):
        process.send_signal(word)
        time.sleep(0.05)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + word, "put away\n")
    assert error == "\nstopped; the same command goes on\n"


def test_what_has_nothing_to_put_away_ends_at_once() -> None:
    process = start(f"{BEGIN}print('works', flush=True); time.sleep(100)")
    process.stdout.readline()
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (143, "\nstopped\n")


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    slow = "class Slow:\n    def __del__(self): print('works', flush=True); time.sleep(1)\n"
    process = start(f"{BEGIN}{slow}with process.stoppable():\n    Slow()\n    time.sleep(100)\n")
    process.stdout.readline()
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert "Stopped" in error.splitlines()[-1]  # this program has no words for it
    assert "Exception ignored" not in error


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells of a parent's end on Linux")
def test_a_command_does_not_outlive_its_parent_that_is_killed() -> None:
    process = start(parent(WORK))
    child = int(process.stdout.readline().split()[1])
    process.kill()
    _, error = process.communicate(timeout=60)  # its child has them open
    assert error == "\nstopped; the same command goes on\n"
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_signal_that_is_ignored_where_it_was_started_stays_ignored() -> None:
    program = f"{BEGIN}os.kill(os.getpid(), 1); print('goes on')"
    ignore = [sys.executable, "-c", "import os, signal, sys; signal.signal(1, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"]  # fmt: skip  # noqa: E501
    done = subprocess.run([*ignore, sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "goes on\n")


PRINTS = f"""{BEGIN}
from project.work.machine.process import run_command
def main():
    for _ in range(20000):
        print("a line")
        print("a line", file=sys.stderr)
    open(sys.argv[1], "w").write("done")
run_command(main)
"""


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        ("2>/dev/null | head -1", 0, "a line\n"),
        ("2>&1 >/dev/null | head -1", 0, "a line\n"),
        (">&- 2>&-", 0, ""),
        ("2>&1 >/dev/full | tail -1", 2, "error: standard output: No space left on device; "),
        (">/dev/null 2>/dev/full", 0, ""),
    ],
)
def test_no_work_is_lost_with_its_words(tmp_path: Path, redirected: str, code: int, said: str) -> None:
    file = tmp_path / "file"
    line = f'{{ "$0" -c "$1" "$2"; echo $? > "$2.code"; }} {redirected}'
    shell = ["bash", "-c", line, sys.executable, PRINTS, str(file)]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=60)
    assert file.read_text() == "done"
    assert (int(Path(f"{file}.code").read_text()), done.stderr) == (code, "")
    assert done.stdout.startswith(said)
    assert done.stdout.count("\n") == (said != "")


def test_what_a_script_started_in_the_background_without_a_terminal_answers_sigint() -> None:
    program = f"{BEGIN}print('works', flush=True); time.sleep(100)"
    line = '"$0" -c "$1" & read -r word; kill -INT $!; wait $!; echo $?'
    pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
    words = ["bash", "-c", line, sys.executable, program]
    shell = subprocess.Popen(words, text=True, start_new_session=True, **pipes)
    assert shell.stdout.readline() == "works\n"
    out, error = shell.communicate("now\n", timeout=60)
    assert (out, error) == ("130\n", "\nstopped\n")


def test_a_child_that_is_killed_names_memory() -> None:
    process = start(parent(f"{BEGIN}os.kill(os.getpid(), 9)"))
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (137, "error: ended by SIGKILL (out of memory, perhaps)\n")
