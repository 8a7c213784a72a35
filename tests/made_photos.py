"""Pictures that look like photos as far as measures go: patches of colour, edges and texture, from a seed."""

from pathlib import Path

import cv2
import numpy as np


def photo(seed: int, side: int = 96, tint: int = 0) -> np.ndarray:
    """One picture, uint8 (side, side, 3) RGB, of its own. tint: which channel stands out."""
    random = np.random.default_rng(seed)
    image = cv2.resize(random.uniform(60, 190, (5, 5, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        middle, size = random.integers(0, side, 2), int(random.integers(side // 10, side // 4))
        colour = random.uniform(20, 235, 3)
        colour[tint] = 230
        cv2.circle(image, tuple(map(int, middle)), size, colour.tolist(), -1)
    image += random.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def save(path: Path, image: np.ndarray, quality: int = 92) -> None:
    """Write a picture as a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
