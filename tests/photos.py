"""Photos made from a seed, in every form that preparation reads, and folders of them."""

import cv2
import numpy as np
from picture_files import saved
from PIL import Image


def photo(seed, height=96, width=128):
    """Smooth colours with some noise, as photos have: RGB uint8 (height, width, 3)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def jpeg(picture, quality=90):
    return saved(Image.fromarray(picture), "jpeg", quality=quality)


def odd_ones():
    """Files that only the preparing decoder reads rightly: name -> bytes."""
    picture, turned = photo(1), Image.Exif()
    turned[274] = 6
    frames = [Image.fromarray(photo(seed)) for seed in (2, 3)]
    clear = np.dstack([picture, np.arange(96 * 128).reshape(96, 128) % 256]).astype(np.uint8)
    return {
        "turned.jpg": saved(Image.fromarray(picture), "jpeg", exif=turned),
        "cmyk.jpg": saved(Image.fromarray(picture).convert("CMYK"), "jpeg"),
        "clear.png": saved(Image.fromarray(clear), "png"),
        "deep.png": saved(Image.fromarray(picture[..., 0].astype(np.uint16) * 16), "png"),
        "film.gif": saved(frames[0], "gif", save_all=True, append_images=frames[1:]),
        "web.webp": saved(Image.fromarray(picture), "webp"),
        "palette.png": saved(Image.fromarray(picture).convert("P"), "png"),
        "large.png": saved(Image.fromarray(photo(4, 300, 1500)), "png"),
    }


def folder(place, count=10, classes=("cat", "犬"), **size):
    """Classes of JPEG photos, each of its own."""
    for number, name in enumerate(classes):
        (place / name).mkdir(parents=True, exist_ok=True)
        for row in range(count):
            (place / name / f"{row:03d}.jpg").write_bytes(jpeg(photo(100 * number + row, **size)))
    return place
