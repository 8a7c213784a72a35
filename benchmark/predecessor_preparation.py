"""The predecessor's preparation, written afresh from its published description: CSV files -> gzipped pickles.

    python benchmark/predecessor_preparation.py FOLDER OUTPUT PER_CLASS

It takes the head of each file. For each row: literal_eval, one cv2.line a segment and a resize. Python's default gzip
level.
"""

import ast
import gzip
import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

SIDE, WIDTH = 256, 6


def draw(strokes: list[list[list[int]]], size: int = 32) -> np.ndarray:
    """One drawing, [[xs, ys], ...], as uint8 (size, size)."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for stroke in strokes:
        for i in range(len(stroke[0]) - 1):
            start, end = (stroke[0][i], stroke[1][i]), (stroke[0][i + 1], stroke[1][i + 1])
            cv2.line(canvas, start, end, 255, WIDTH)
    return cv2.resize(canvas, (size, size))


def prepare(folder: Path, output: Path, per_class: int, train_ratio: float = 0.8) -> None:
    """Write train and test pictures and labels."""
    parts = {"train": ([], []), "test": ([], [])}
    for label, path in enumerate(folder.glob("*.csv")):
        table = pd.read_csv(path, nrows=per_class)
        pictures = [draw(ast.literal_eval(text)) for text in table["drawing"]]
        cut = int(len(pictures) * train_ratio)
        for part, chosen in (("train", pictures[:cut]), ("test", pictures[cut:])):
            parts[part][0].extend(chosen)
            parts[part][1].extend([label] * len(chosen))
    output.mkdir(parents=True, exist_ok=True)
    for part, (pictures, labels) in parts.items():
        for what, values in (("images", np.stack(pictures)), ("labels", np.array(labels))):
            with gzip.open(output / f"{part}_{what}.pkl.gz", "wb") as file:
                pickle.dump(values, file)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
