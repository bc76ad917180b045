"""From a picture to a model's input: the transform each model was trained for.

Input: a decoded RGB picture. Output: a float32 array in the model's layout. The table
`RECIPES` is all there is to know of a model; adding one is adding a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import UnknownNameError

__all__ = [
    "RECIPES",
    "Recipe",
    "area_resize",
    "find_recipe",
    "letterbox",
    "transform_image",
]

Filter = Literal["area", "bilinear", "bicubic"]
Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class Recipe:
    """How a picture becomes an input.

    Parameters
    ----------
    filter : {"area", "bilinear", "bicubic"}
        Resampling. Bilinear and bicubic are Pillow's, which widen the filter when
        they shrink; area is the mean over each target pixel's rectangle.
    short_side : float, optional
        Resize so that the short side is this many times the input size, then crop the
        centre. None resizes to the input size straight, without regard to aspect. It
        is never below 1: a crop larger than the picture would need black borders.
    mean, std : tuple of float
        Per channel R, G, B, in units of 0 to 255: output is ``(x - mean) / std``.
    """

    filter: Filter
    short_side: float | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def describe(self, size: int) -> str:
        """Say what is done, for the report.

        Parameters
        ----------
        size : int
            The input's height and width, pixels.

        Returns
        -------
        str
            One line.
        """
        if self.short_side is None:
            resize = f"resize to {size}x{size} {self.filter}"
        else:
            short_side = round(size * self.short_side)
            resize = (
                f"short side to {short_side} {self.filter}, centre crop {size}x{size}"
            )
        mean = ", ".join(f"{value:g}" for value in self.mean)
        std = ", ".join(f"{value:g}" for value in self.std)
        return f"RGB, {resize}, (x - ({mean})) / ({std})"


_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_CLIP_MEAN = (0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255)
_CLIP_STD = (0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255)
_ONES = (1.0, 1.0, 1.0)
_HALF = (127.5, 127.5, 127.5)

RECIPES: dict[str, Recipe] = {
    "resnet50_torch": Recipe("bilinear", 256 / 224, _IMAGENET_MEAN, _IMAGENET_STD),
    # The TensorFlow models of MLPerf subtract channel means and leave the scale alone.
    "resnet50_tf": Recipe("area", 256 / 224, (123.68, 116.78, 103.94), _ONES),
    "vit": Recipe("bilinear", None, _HALF, _HALF),
    "swin": Recipe("bicubic", None, _IMAGENET_MEAN, _IMAGENET_STD),
    "clip": Recipe("bicubic", 1.0, _CLIP_MEAN, _CLIP_STD),
    "efficientnet_lite": Recipe(
        "bicubic", 256 / 224, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
    ),
    # Small pictures that have the input's size already.
    "cifar": Recipe("bilinear", None, _IMAGENET_MEAN, _IMAGENET_STD),
    "pixels": Recipe("bilinear", None, (0.0, 0.0, 0.0), _ONES),
}


def find_recipe(name: str | None, layout: Layout) -> tuple[str, Recipe]:
    """Look up a recipe.

    Parameters
    ----------
    name : str, optional
        A key of `RECIPES`; None takes the ResNet-50 one that goes with the layout.
    layout : {"NCHW", "NHWC"}
        Order of the input's dimensions.

    Returns
    -------
    tuple of (str, Recipe)
        The name that was meant, and the recipe.

    Raises
    ------
    UnknownNameError
        If there is no recipe of this name.
    """
    if name is None:
        name = "resnet50_torch" if layout == "NCHW" else "resnet50_tf"
    if name not in RECIPES:
        raise UnknownNameError("image transform", name, RECIPES)
    return name, RECIPES[name]


def transform_image(
    image: Any, recipe: Recipe, *, size: int, layout: Layout
) -> npt.NDArray[np.float32]:
    """Apply a recipe.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode ``"RGB"``.
    recipe : Recipe
        What to do.
    size : int
        Height and width of the input, pixels.
    layout : {"NCHW", "NHWC"}
        Order of the dimensions.

    Returns
    -------
    numpy.ndarray
        float32, shape ``(3, size, size)`` or ``(size, size, 3)``.
    """
    width, height = image.size
    if recipe.short_side is None:
        pixels = _resize(image, size, size, recipe.filter)
    else:
        short = round(size * recipe.short_side)
        # The long side is cut, not rounded, as torchvision and MLPerf's TensorFlow
        # code both do.
        if width <= height:
            pixels = _resize(image, int(short * height / width), short, recipe.filter)
        else:
            pixels = _resize(image, short, int(short * width / height), recipe.filter)
        # Half a pixel too many goes to the even neighbour, again as torchvision does.
        top = round((pixels.shape[0] - size) / 2)
        left = round((pixels.shape[1] - size) / 2)
        pixels = pixels[top : top + size, left : left + size]
    values = pixels.astype(np.float32)
    values -= np.asarray(recipe.mean, np.float32)
    values /= np.asarray(recipe.std, np.float32)
    return values.transpose(2, 0, 1) if layout == "NCHW" else values


def letterbox(
    image: Any, size: int
) -> tuple[npt.NDArray[np.uint8], tuple[int, int, int, int]]:
    """Fit a picture into a square, padded with grey, as YOLOv5 does for validation.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode ``"RGB"``.
    size : int
        Height and width of the square, pixels.

    Returns
    -------
    pixels : numpy.ndarray
        uint8, shape ``(size, size, 3)``; the padding is 114.
    rectangle : tuple of int
        Left, top, right and bottom of the picture in it, pixels.
    """
    ratio = size / max(image.size)
    width, height = (max(1, min(size, round(side * ratio))) for side in image.size)
    # An odd pixel of padding goes to the right and to the bottom.
    left, top = (size - width) // 2, (size - height) // 2
    pixels = np.full((size, size, 3), 114, np.uint8)
    pixels[top : top + height, left : left + width] = _resize(
        image, height, width, "area"
    )
    return pixels, (left, top, left + width, top + height)


def _resize(
    image: Any, height: int, width: int, filter_name: Filter
) -> npt.NDArray[np.uint8]:
    from PIL import Image

    if image.size == (width, height):
        return np.asarray(image, np.uint8)
    if filter_name == "area" and height <= image.size[1] and width <= image.size[0]:
        return area_resize(np.asarray(image, np.uint8), height, width)
    # Enlarging has no area to average over: bilinear then, as OpenCV does.
    resampling = (
        Image.Resampling.BICUBIC
        if filter_name == "bicubic"
        else Image.Resampling.BILINEAR
    )
    return np.asarray(image.resize((width, height), resampling), np.uint8)


def area_resize(
    pixels: npt.NDArray[np.uint8], height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Shrink a picture, each pixel being the mean over its rectangle of the original.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8, shape ``(rows, columns, channels)``.
    height, width : int
        The new size, at most the old.

    Returns
    -------
    numpy.ndarray
        uint8, shape ``(height, width, channels)``, rounded to nearest.
    """
    rows = _area_weights(pixels.shape[0], height)
    columns = _area_weights(pixels.shape[1], width)
    narrow = np.einsum("xj,ijc->ixc", columns, pixels.astype(np.float32), optimize=True)
    small = np.einsum("yi,ixc->yxc", rows, narrow, optimize=True)
    rounded: npt.NDArray[np.uint8] = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return rounded


def _area_weights(old: int, new: int) -> npt.NDArray[np.float32]:
    """Give the share of each old pixel in each new one, shape (new, old)."""
    scale = old / new
    starts = np.arange(new)[:, None] * scale
    pixels = np.arange(old)[None, :]
    overlap = np.minimum(starts + scale, pixels + 1) - np.maximum(starts, pixels)
    shares: npt.NDArray[np.float32] = np.clip(overlap, 0.0, 1.0) / np.float32(scale)
    return shares.astype(np.float32)
