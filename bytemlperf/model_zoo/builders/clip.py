"""CLIP: pictures and texts in one space, and its text encoder alone.

Input: nothing, or smaller sizes for tests. Output: an `Architecture`. The whole model
is what ByteMLPerf sold as "videobert": one picture against a list of prompts. The text
encoder alone, of the larger CLIP, is that of Stable Diffusion 1.x.
Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bytemlperf.model_zoo.builders.architecture import Architecture
from bytemlperf.model_zoo.builders.pictures import draw_pictures
from bytemlperf.model_zoo.builders.transformer import (
    draw_transformer_weight,
    fit_for_tracing,
)
from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["Clip", "ClipText", "clip_text_large", "clip_vit_b32"]

Array = npt.NDArray[Any]
VOCABULARY = 49408
TEXT_LENGTH = 77
# The end of a text is the token of the largest id: where OpenAI's code looks for it,
# which transformers does when it is told this number.
END_IS_LARGEST = 2
# ln(1 / 0.07): the temperature that training starts from.
LOGIT_SCALE = 2.6592


def clip_vit_b32() -> Clip:
    """Return CLIP ViT-B/32 with 100 prompts.

    Returns
    -------
    Clip
        151,277,313 parameters.
    """
    return Clip(
        vocabulary=VOCABULARY,
        length=TEXT_LENGTH,
        prompts=100,
        text=(512, 12, 8, 2048),
        image_size=224,
        patch=32,
        vision=(768, 12, 12, 3072),
        shared_width=512,
    )


def clip_text_large() -> ClipText:
    """Return the text encoder of CLIP ViT-L/14.

    Returns
    -------
    ClipText
        123,060,480 parameters.
    """
    return ClipText(vocabulary=VOCABULARY, length=TEXT_LENGTH, text=(768, 12, 12, 3072))


class Clip(Architecture):
    """CLIP with a list of prompts that all pictures are held against.

    Parameters
    ----------
    vocabulary, length, prompts : int
        Token ids, tokens of a prompt, prompts.
    text, vision : tuple of int
        Width, layers, attention heads and inner width of either encoder.
    image_size, patch : int
        Height and width of a picture, and of a patch of it.
    shared_width : int
        Width of the space that both end in.
    """

    source_modules: ClassVar[tuple[str, ...]] = (
        __name__,
        "bytemlperf.model_zoo.builders.pictures",
        "bytemlperf.model_zoo.builders.transformer",
    )
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "transformers")

    def __init__(
        self,
        *,
        vocabulary: int,
        length: int,
        prompts: int,
        text: tuple[int, int, int, int],
        image_size: int,
        patch: int,
        vision: tuple[int, int, int, int],
        shared_width: int,
    ) -> None:
        self.vocabulary = vocabulary
        self.length = length
        self.prompts = prompts
        self.text = text
        self.image_size = image_size
        self.patch = patch
        self.vision = vision
        self.shared_width = shared_width

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Pictures, float (batch, 3, size, size), and token ids of prompts, integers
            (prompts, length) -> logits, (batch, prompts).
        """
        from transformers import CLIPConfig, CLIPModel

        base: Any = CLIPModel

        class PlainClip(base):  # type: ignore[misc]
            def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
                found = super().forward(input_ids=text, pixel_values=image)
                logits: torch.Tensor = found.logits_per_image
                return logits

        config = CLIPConfig(
            text_config=_text_config(self.vocabulary, self.length, self.text),
            vision_config=_sizes(self.vision)
            | {"image_size": self.image_size, "patch_size": self.patch},
            projection_dim=self.shared_width,
            attn_implementation="eager",
        )
        return fit_for_tracing(PlainClip(config))

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor: normal of deviation 0.02, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32.
        """
        if not draw.shape:
            return draw.fill(LOGIT_SCALE)
        if draw.name.endswith("class_embedding"):
            return draw.normal(0.02)
        return draw_transformer_weight(draw)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw pictures and prompts; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Pictures.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``image``, float32; ``text``, int64 (prompts, length): not a row for each
            picture, but the same prompts for all.
        """
        return {
            "image": draw_pictures(batch_size, self.image_size, seed),
            "text": _draw_texts(self.prompts, self.length, self.vocabulary, seed),
        }


class ClipText(Architecture):
    """The text encoder of a CLIP alone.

    Parameters
    ----------
    vocabulary, length : int
        Token ids, tokens of a text.
    text : tuple of int
        Width, layers, attention heads and inner width.
    """

    source_modules: ClassVar[tuple[str, ...]] = Clip.source_modules
    packages: ClassVar[tuple[str, ...]] = Clip.packages

    def __init__(
        self, *, vocabulary: int, length: int, text: tuple[int, int, int, int]
    ) -> None:
        self.vocabulary = vocabulary
        self.length = length
        self.text = text

    def torch_module(self) -> torch.nn.Module:
        """Make the module; see `Architecture.torch_module`.

        Returns
        -------
        torch.nn.Module
            Token ids, integers (batch, length) -> the last layer, (batch, length,
            width), and its row at the text's end, (batch, width).
        """
        from transformers import CLIPTextConfig, CLIPTextModel

        base: Any = CLIPTextModel

        class PlainText(base):  # type: ignore[misc]
            def forward(
                self, input_ids: torch.Tensor
            ) -> tuple[torch.Tensor, torch.Tensor]:
                found = super().forward(input_ids=input_ids)
                return found.last_hidden_state, found.pooler_output

        config = CLIPTextConfig(
            **_text_config(self.vocabulary, self.length, self.text),
            attn_implementation="eager",
        )
        return fit_for_tracing(PlainText(config))

    def draw(self, draw: Draw) -> Array:
        """Draw one tensor: normal of deviation 0.02, see `Architecture.draw`.

        Parameters
        ----------
        draw : Draw
            Knows the tensor's name and shape.

        Returns
        -------
        ndarray
            float32.
        """
        return draw_transformer_weight(draw)

    def example(self, batch_size: int, seed: int = 0) -> dict[str, Array]:
        """Draw texts; see `Architecture.example`.

        Parameters
        ----------
        batch_size : int
            Texts.
        seed : int
            Of the values.

        Returns
        -------
        dict of str to ndarray
            ``input_ids``, int32 (batch, length).
        """
        ids = _draw_texts(batch_size, self.length, self.vocabulary, seed)
        return {"input_ids": ids.astype(np.int32)}


def _sizes(encoder: tuple[int, int, int, int]) -> dict[str, int]:
    """Name the sizes of an encoder as transformers does."""
    width, layers, heads, inner = encoder
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
    }


def _text_config(
    vocabulary: int, length: int, encoder: tuple[int, int, int, int]
) -> dict[str, int | None]:
    """Describe a text encoder to transformers."""
    return _sizes(encoder) | {
        "vocab_size": vocabulary,
        "max_position_embeddings": length,
        "eos_token_id": END_IS_LARGEST,
        "bos_token_id": None,
    }


def _draw_texts(count: int, length: int, vocabulary: int, seed: int) -> Array:
    """Draw texts of several lengths that end with the largest id, int64."""
    random = np.random.Generator(np.random.PCG64(seed))
    ids = random.integers(1, vocabulary - 1, (count, length))
    ends = random.integers(length // 4, length, count)
    ids[np.arange(length) >= ends[:, None]] = 0
    ids[np.arange(count), ends] = vocabulary - 1
    return ids
