"""A table of runs with what each cost, for studies that are stopped and go on: no run in the table is done again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from photo_features import after, spent

import make_command
from project.work.files import disk

Row = dict[str, Any]
ACCURACIES = ("top-1", "macro F1")
COLUMNS = ("variant", "seed", *ACCURACIES, "CPU-s", "validation", "epochs", "run")


def read(path: Path) -> pd.DataFrame:
    """The rows that are there."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)


def once(path: Path, variant: str, seed: int, run: Callable[[], Row]) -> None:
    """Do a run and add its row to the table, unless it is there."""
    rows = read(path)
    if ((rows["variant"] == variant) & (rows["seed"] == seed)).any():
        return
    more = pd.DataFrame([{"variant": variant, "seed": seed} | run()], columns=COLUMNS)
    disk.replace_file(path, pd.concat([rows, more] if len(rows) else [more]).to_csv(index=False).encode())
    print(more.to_string(index=False, header=False), flush=True)


def train(values: Mapping[str, Any], beside: float = 0.0) -> Row:
    """A run of main.py with these settings. beside: CPU-seconds of features that it found there."""
    cpu, said = spent(make_command.script("project/work/main.py", dict(values)))
    folder = after("run folder ", said)
    row = json.loads((folder / "result.json").read_text())
    return {
        "top-1": 100 * row["best_test_accuracy"],
        "macro F1": 100 * row["best_test_macro_f1"],
        "CPU-s": cpu + beside,
        "validation": 100 * row["best_valid_accuracy"],
        "epochs": row.get("epoch"),
        "run": folder.name,
    }


def show(path: Path, variants: list[str], seeds: int) -> None:
    """Print mean and deviation of each variant, its gains over the first one, paired by seed, and what is missing."""
    rows = read(path).set_index(["variant", "seed"])
    print("| | top-1 | gain | macro F1 | gain | CPU-s | runs |\n|---|---|---|---|---|---|---|")
    for variant in (each for each in variants if each in rows.index):
        own, cells = rows.xs(variant), list[str]()
        for name in ACCURACIES:
            paired = variant != variants[0] and variants[0] in rows.index
            gain = (own[name] - rows.xs(variants[0])[name]).dropna() if paired else own[name][:0]
            cells += [_spread(own[name]), _spread(gain, "+")]
        print(f"| {variant} | {' | '.join(cells)} | {_spread(own['CPU-s'])} | {len(own)} |")
    wanted = [(variant, seed) for variant in variants for seed in range(seeds)]
    missing = [f"{variant} {seed}" for variant, seed in wanted if (variant, seed) not in rows.index]
    print(f"\nnot run: {', '.join(missing)}" if missing else "\nall was run")


def _spread(values: pd.Series, sign: str = "") -> str:
    if not len(values):
        return ""
    return f"{values.mean():{sign}.1f}" + (f" +- {values.std():.1f}" if len(values) > 1 else "")
