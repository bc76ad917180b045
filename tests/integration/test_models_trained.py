"""Real trained weights in our own architectures, on a real picture."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.datasets import find_data_root
from bytemlperf.model_zoo.builders.architecture import load_weights
from bytemlperf.model_zoo.builders.resnet import resnet50
from bytemlperf.model_zoo.builders.yolov5 import YoloV5

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PERSON, BUS = 0, 5


@pytest.mark.data
def test_official_yolov5n_sees_a_bus_and_its_people() -> None:
    """The official checkpoint fits name by name, and its answers are right.

    YOLOv5n is YOLOv5s at half the width, so this is the code of the zoo's model.
    """
    root = find_data_root()
    if root is None:
        pytest.skip("no data folder: set BYTEMLPERF_DATA")
    import torch
    from PIL import Image
    from safetensors.numpy import load_file

    path = root / "coco_detectors" / "yolov5n.fp16.safetensors"
    architecture = YoloV5(width=16, image_size=640, class_count=80)
    weights = {
        name: array.astype(np.float32)
        for name, array in architecture.translate(load_file(path)).items()
    }
    module = load_weights(architecture.torch_module(), weights, str(path))
    with Image.open(root / "coco128" / "bus.jpg") as picture:
        square = Image.new("RGB", (640, 640), (114, 114, 114))
        small = picture.convert("RGB").resize((480, 640))
        square.paste(small, (80, 0))
    pixels = np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None] / 255
    with torch.inference_mode():
        boxes = module(torch.from_numpy(np.ascontiguousarray(pixels)))[0][0].numpy()
    scores = boxes[:, 4] * boxes[:, 5:].max(axis=1)
    sure = boxes[scores > 0.5]
    assert set(sure[:, 5:].argmax(axis=1)) == {PERSON, BUS}
    bus = sure[sure[:, 5:].argmax(axis=1) == BUS]
    # The bus fills the width of the picture, around its middle.
    assert np.abs(bus[:, 0] - 320).max() < 40
    assert bus[:, 2].min() > 350


def test_resnet50_has_the_tensors_of_the_public_checkpoint() -> None:
    """Names and number of tensors are those that the listed download holds."""
    shapes = resnet50().weight_shapes()
    # 320 in the file, of which 53 are counters of training steps.
    assert len(shapes) == 320 - 53
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer3.5.bn3.running_var"] == (1024,)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["fc.weight"] == (1000, 2048)
