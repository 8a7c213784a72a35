"""./inv: invoke, which answers Ctrl-C from its first moment on."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # in place of this folder
    from project.work import process

    process.begin()
    from invoke.main import program

    program.run(["inv", *sys.argv[1:]])
