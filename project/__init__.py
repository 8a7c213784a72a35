"""Experiments on images whose labels cannot be trusted."""

PROGRAM = "noisy-label-experiments"
__version__ = "0.1.0"
