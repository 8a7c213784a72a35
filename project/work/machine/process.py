"""Stops a command cleanly: one line, the usual exit code, and no child process left behind.

Ctrl-C, SIGTERM (`kill`, a scheduler) and SIGHUP (a closed terminal) mean the same. The process ends at once, because
files are replaced whole. Inside `stoppable`, where there is something to clean up, Stopped is raised once instead.
This module imports little, because a signal before `begin` gives Python's traceback.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from project.work.common import InUse, UserError
from project.work.machine import streams

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 5.0  # seconds after the first signal in which others are ignored; a later one ends the process at once
MEMORY = "out of memory, perhaps"  # the usual reason of a SIGKILL that nobody sent
_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl


class Stopped(KeyboardInterrupt):
    """A stop signal. number: of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def code(stop: KeyboardInterrupt) -> int:
    """The exit code of shells for a process that a signal ended."""
    return 128 + getattr(stop, "number", signal.SIGINT)


class _Stopping:
    """The state of stopping. first: the signal and its time; said: whether a message was printed."""

    pid: int = 0
    begun: bool = False
    quiet: bool = False
    blocks: int = 0
    first: int | None = None
    since: float = 0.0
    said: bool = False


_now = _Stopping()


def begin(quiet: bool = False, signals: Sequence[int] = SIGNALS) -> None:
    """From here on handle stop signals, and survive a closed output.

    quiet: print nothing, because another process of the run does.
    """
    _now.pid, _now.begun, _now.quiet = os.getpid(), True, quiet
    for number in _heeded(signals):
        signal.signal(number, _answer)
    streams.begin()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # signals that arrived while Python started


@contextmanager
def stoppable() -> Iterator[None]:
    """Code with something to clean up: the first signal raises Stopped, later ones are ignored for a while."""
    import threading

    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    if not _now.begun and not _now.blocks:
        _now.first, _now.said = None, False
    before = {number: signal.getsignal(number) for number in _heeded(SIGNALS)}
    hook, sys.unraisablehook = sys.unraisablehook, _raise_again
    _now.pid, _now.blocks = os.getpid(), _now.blocks + 1
    for number in before:
        signal.signal(number, _answer)
    try:
        yield
    finally:
        _now.blocks -= 1
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def say(text: str) -> None:
    """Print that the command was stopped; from now on another signal ends it at once."""
    print(f"\n{text}", file=sys.stderr)
    _now.said = True


def leave(code: int) -> NoReturn:
    """Exit with the code of a signal, at once: Python's normal exit would not handle another signal."""
    if not _now.begun:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def _heeded(signals: Sequence[int]) -> list[int]:
    """The signals to handle: without those that the parent process set to be ignored, as nohup does.

    A shell lets background processes ignore its terminal's Ctrl-C. Without a terminal, SIGINT is handled all the same.
    """
    ignored = {number for number in signals if signal.getsignal(number) in (signal.SIG_IGN, None)}
    if signal.SIGINT in ignored and not _has_terminal():
        ignored.remove(signal.SIGINT)
    return [number for number in signals if number not in ignored]


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        return True
    except OSError:
        return False


def _answer(number: int, frame: object) -> None:
    if os.getpid() != _now.pid:  # a fork of that process
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    if _now.first is None and _now.blocks:
        _now.first, _now.since = number, time.monotonic()
        raise Stopped(number)
    if _now.first is not None and not _now.said and time.monotonic() - _now.since < PATIENCE:
        return
    if not _now.said and not _now.quiet:
        with suppress(OSError):
            os.write(2, b"\nstopped\n")
    leave(128 + (_now.first or number))


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """An exception in a destructor is lost, so raise the signal again in a moment."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
        return
    import threading

    _now.first = None
    threading.Timer(0.05, os.kill, (os.getpid(), lost.exc_value.number)).start()


def foreground(command: Sequence[str], begins: bool = False) -> int:
    """Run a command and pass signals on to it; returns its exit code as shells do.

    begins: it is a script that calls `begin`. On Linux it gets SIGTERM when this process is killed.
    """
    import subprocess

    came: list[int] = []
    child: list[subprocess.Popen] = []

    def pass_on(number: int, frame: object) -> None:
        came.append(number)
        for each in child:
            with suppress(ProcessLookupError):
                os.kill(each.pid, number)

    before = {number: signal.signal(number, pass_on) for number in _heeded(SIGNALS)}
    try:
        child.append(subprocess.Popen(command, preexec_fn=ends_with(os.getpid(), begins)))
        for number in list(came):
            child[0].send_signal(number)
        ended = child[0].wait()
        child.clear()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if ended == -signal.SIGKILL:
        print(f"error: ended by SIGKILL ({MEMORY})", file=sys.stderr)
    if came and ended in (0, -came[0]):  # too late for it, but not for what would follow; or too early
        say("stopped")
        leave(128 + came[0])
    if came:
        leave(ended if ended >= 0 else 128 - ended)
    return ended if ended >= 0 else 128 - ended


def ends_with(parent: int, begins: bool = False) -> Callable[[], None]:
    """A function for the child before exec: on Linux it requests SIGTERM for the end of the parent.

    begins: the program calls `begin`; signals are blocked until then.
    """
    import ctypes

    change = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None

    def ask() -> None:
        if begins:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if change is not None:
            change(_DEATH, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(128 + signal.SIGTERM)

    return ask


IN_USE = 76  # exit code of a command whose run another process is working on


class Interrupted(UserError):
    """Work that a signal stopped; its text says how to go on. code: the exit code."""

    def __init__(self, text: str, stop: KeyboardInterrupt) -> None:
        super().__init__(text)
        self.code = code(stop)


class OutOfMemory(UserError):
    """The machine or its GPU ran out of memory; the text says what to lower."""


def run_command(main: Callable[[], None], lower: str = "") -> None:
    """Run an entry point: a UserError becomes one line and exit code 2, without a traceback.

    The code is IN_USE when another process is working on the run.
    lower: the flags that decide the memory use, named when there is not enough.
    """
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for letters it lacks
    try:
        with within_memory(lower):
            main()
        streams.refuse_loss()
    except Interrupted as error:
        say(str(error))
        leave(error.code)
    except UserError as error:
        _stop(str(error), error.lines, IN_USE if isinstance(error, InUse) else 2)
    except OSError as error:
        _stop(f"{trouble(error)}; once that is fixed, give the same command again; what was written before is kept")
    except KeyboardInterrupt as stop:
        say("stopped")
        leave(code(stop))
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:  # a signal, reported already
            leave(end.code)
        raise


@contextmanager
def within_memory(lower: str = "") -> Iterator[None]:
    """Raises OutOfMemory where memory runs out; lower: the flags to lower then."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        shortage = _shortage(error)
        if shortage is None:
            raise
        advice = f"lower {lower}" if lower else "end what else runs here, or take a machine with more"
        raise OutOfMemory(f"{shortage}; {advice}") from None


def _shortage(error: BaseException) -> str | None:
    """Describes an out-of-memory error of numpy, torch or the system; None for other errors."""
    text = str(error)
    signs = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "Cannot allocate memory", "Unable to allocate")
    if not isinstance(error, MemoryError) and not any(sign in text for sign in signs):
        return None
    amount = re.search(r"(?:allocate|allocated:?) ([\d.]+ ?\w+)", text)
    where = "the GPU is" if re.search("CUDA|CUBLAS|CUDNN|HIP|MPS", text) else "this machine is"
    return f"{where} out of memory" + (f", for {amount[1]} more" if amount else "")


def trouble(error: OSError) -> str:
    """The system's message and the file it concerns."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _stop(text: str, lines: Sequence[str] = (), code: int = 2) -> None:
    print("\n".join([f"error: {_printable(text)}", *lines]), file=sys.stderr)
    sys.exit(code)


def _printable(text: str) -> str:
    """The same in one line: names may contain line ends and control characters."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
