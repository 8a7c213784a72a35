"""How a command is stopped: in a line and with the exit code of shells, whatever it is at, and all that it started too.

Ctrl-C, SIGTERM (`kill`, a scheduler) and SIGHUP (its terminal was closed) mean the same. Where nothing is to be put
away the process ends at once, for files are replaced whole; where something is (`stoppable`), Stopped is raised, once.
Little is imported here, since until `begin` a signal finds Python's own answer, which is a traceback.
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
PATIENCE = 5.0  # seconds in which a signal says nothing new after the first; then one ends the process at once
MEMORY = "out of memory, perhaps"  # the usual reason of a SIGKILL that nobody sent
_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl


class Stopped(KeyboardInterrupt):
    """A signal that means to stop. number: which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def code(stop: KeyboardInterrupt) -> int:
    """The exit code that shells give to what a signal ended."""
    return 128 + getattr(stop, "number", signal.SIGINT)


class _Stopping:
    """Where this process stands. first: the signal that stops it, since when; said: whether a person was told."""

    pid: int = 0
    begun: bool = False
    quiet: bool = False
    blocks: int = 0
    first: int | None = None
    since: float = 0.0
    said: bool = False


_now = _Stopping()


def begin(quiet: bool = False, signals: Sequence[int] = SIGNALS) -> None:
    """Answer signals, and lose no work to a closed output, from here to the very end of this process.

    quiet: one of several processes, of which another one says that they are stopped.
    """
    _now.pid, _now.begun, _now.quiet = os.getpid(), True, quiet
    for number in _heeded(signals):
        signal.signal(number, _answer)
    streams.begin()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # those that came while Python started


@contextmanager
def stoppable() -> Iterator[None]:
    """Where there is something to put away: the first signal raises Stopped, and those that follow do not disturb."""
    import threading

    if threading.current_thread() is not threading.main_thread():  # which alone can answer
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
    """Tell a person that the command was stopped; from now on one more signal ends it at once."""
    print(f"\n{text}", file=sys.stderr)
    _now.said = True


def leave(code: int) -> NoReturn:
    """End with an exit code that tells of a signal: at once, for Python's own end leaves the next one unanswered."""
    if not _now.begun:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def _heeded(signals: Sequence[int]) -> list[int]:
    """Those that the process which started this one did not have it ignore, as nohup does.

    A shell has its background processes ignore the Ctrl-C of its terminal; without one SIGINT is meant for them.
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
    """A signal that came in a destructor stopped nobody: raise it again in a moment."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
        return
    import threading

    _now.first = None
    threading.Timer(0.05, os.kill, (os.getpid(), lost.exc_value.number)).start()


def foreground(command: Sequence[str], begins: bool = False) -> int:
    """Run a command as if it were this process, which passes signals on to it; returns its exit code as shells do.

    begins: it is a script that calls `begin`. On Linux it is told to stop when this process is killed.
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
    """What a child does before it becomes another program: on Linux, ask for SIGTERM when its parent has ended.

    begins: that program calls `begin`, and until then signals wait.
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


IN_USE = 76  # exit code of a command whose run another process is at


class Interrupted(UserError):
    """Work that a signal stopped; its text says how to go on. code: the exit code."""

    def __init__(self, text: str, stop: KeyboardInterrupt) -> None:
        super().__init__(text)
        self.code = code(stop)


class OutOfMemory(UserError):
    """There was not enough memory, of the machine or of its GPU; its text says what to lower."""


def run_command(main: Callable[[], None], lower: str = "") -> None:
    """Run an entry point: what a person can put right becomes one line and exit code 2, never a traceback.

    The code is IN_USE where another process is at the run.
    lower: the flags that decide how much memory it takes, for when there is not enough.
    """
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may not know the letters of a name
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
        _stop(f"{trouble(error)}; when that is mended, give the same command again; what was written before is kept")
    except KeyboardInterrupt as stop:
        say("stopped")
        leave(code(stop))
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:  # a signal, of which it has been told
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
    """What there was not enough memory for, as numpy, torch on any device and the system say it; None otherwise."""
    text = str(error)
    signs = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "Cannot allocate memory", "Unable to allocate")
    if not isinstance(error, MemoryError) and not any(sign in text for sign in signs):
        return None
    amount = re.search(r"(?:allocate|allocated:?) ([\d.]+ ?\w+)", text)
    where = "the GPU is" if re.search("CUDA|CUBLAS|CUDNN|HIP|MPS", text) else "this machine is"
    return f"{where} out of memory" + (f", for {amount[1]} more" if amount else "")


def trouble(error: OSError) -> str:
    """What the machine refused to do, and with which file."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _stop(text: str, lines: Sequence[str] = (), code: int = 2) -> None:
    print("\n".join([f"error: {_printable(text)}", *lines]), file=sys.stderr)
    sys.exit(code)


def _printable(text: str) -> str:
    """The same in one line: names may hold line ends, and what makes a terminal do things."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
