"""Every architecture, small, in every format it is sold in.

The code is that of the full sizes; only the widths differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from open_models import OPEN

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo import (
    exporting,
    list_models,
    load_model_info,
    parse_model_info,
    plain_name,
)
from bytemlperf.model_zoo.artefact_store import hash_tree
from bytemlperf.model_zoo.builders import find_architecture, list_architectures
from bytemlperf.model_zoo.builders.albert import Albert
from bytemlperf.model_zoo.builders.architecture import Architecture, load_weights
from bytemlperf.model_zoo.builders.bert import Bert
from bytemlperf.model_zoo.builders.cifar_resnet import CifarResNet
from bytemlperf.model_zoo.builders.clip import Clip, ClipText
from bytemlperf.model_zoo.builders.conformer import Conformer
from bytemlperf.model_zoo.builders.deberta import Deberta
from bytemlperf.model_zoo.builders.diffusion import Unet, VaeDecoder, VaeEncoder
from bytemlperf.model_zoo.builders.distilbert import DistilBert
from bytemlperf.model_zoo.builders.efficientnet_lite import EfficientNetLite, Stage
from bytemlperf.model_zoo.builders.resnet import ResNet
from bytemlperf.model_zoo.builders.roberta import Roberta
from bytemlperf.model_zoo.builders.roformer import Roformer
from bytemlperf.model_zoo.builders.substructure import Part
from bytemlperf.model_zoo.builders.swin import Swin
from bytemlperf.model_zoo.builders.tiny_resnet import TinyResNet
from bytemlperf.model_zoo.builders.vit import Vit
from bytemlperf.model_zoo.builders.waveglow import Waveglow
from bytemlperf.model_zoo.builders.wide_deep import WideDeep
from bytemlperf.model_zoo.builders.xlnet import Xlnet
from bytemlperf.model_zoo.builders.yolov5 import YoloV5
from bytemlperf.model_zoo.exporting import export_model
from bytemlperf.model_zoo.schema import ModelInfo
from bytemlperf.model_zoo.weights import Weights, hash_weights
from bytemlperf.substructures import SUBSTRUCTURES

Array = npt.NDArray[Any]
Feeds = dict[str, Array]

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

TEXT = {
    "vocabulary": 120,
    "width": 48,
    "layers": 2,
    "heads": 4,
    "inner": 64,
    "length": 24,
}


def small_efficientnet() -> EfficientNetLite:
    stages = (Stage(1, 3, 1, 1, 8), Stage(2, 5, 2, 6, 12), Stage(1, 3, 2, 3, 16))
    return EfficientNetLite(stages, stem=8, head=24, class_count=11, image_size=64)


SMALL: dict[str, Callable[[], Architecture]] = {
    "albert_base": lambda: Albert(**TEXT),
    "bert_base": lambda: Bert(**TEXT),
    "clip_text_large": lambda: ClipText(vocabulary=99, length=12, text=(32, 2, 4, 48)),
    "clip_vit_b32": lambda: Clip(
        vocabulary=99,
        length=12,
        prompts=100,
        text=(32, 2, 4, 48),
        image_size=64,
        patch=16,
        vision=(32, 2, 4, 48),
        shared_width=16,
    ),
    "conformer_medium": lambda: Conformer(
        height=16, length=48, width=16, layers=2, heads=2, kernel=5
    ),
    "deberta_base": lambda: Deberta(**TEXT),
    "distilbert_base": lambda: DistilBert(**TEXT),
    "efficientnet_lite0": small_efficientnet,
    "minilm_l6": lambda: Bert(**TEXT),
    "resnet20": lambda: CifarResNet(blocks=1),
    "resnet32": lambda: CifarResNet(blocks=2),
    "resnet50": lambda: ResNet((1, 2), width=8, class_count=11, image_size=48),
    "resnet8": TinyResNet,
    "roberta_base": lambda: Roberta(**TEXT),
    "roformer_base": lambda: Roformer(**TEXT),
    "swin_large": lambda: Swin(
        image_size=48, width=16, depths=(2, 2), heads=(2, 4), window=3, class_count=7
    ),
    "unet": lambda: Unet(channels=(8, 16, 16), heads=2, groups=4, text=(5, 12), size=8),
    "vae_decoder": lambda: VaeDecoder(channels=(8, 16, 16, 16), groups=4, size=4),
    "vae_encoder": lambda: VaeEncoder(channels=(8, 16, 16, 16), groups=4, size=4),
    "vit_base": lambda: Vit(
        image_size=48, width=32, layers=2, heads=4, inner=48, class_count=9
    ),
    "waveglow_256": lambda: Waveglow(flows=5, layers=2, width=8, frames=3),
    "wide_deep": lambda: WideDeep(
        fields=26, buckets=1000, embedding=4, numbers=13, hidden=(16, 8)
    ),
    "wide_deep_small": lambda: WideDeep(
        fields=26, buckets=1000, embedding=4, numbers=13, hidden=(16, 8)
    ),
    "xlnet_base": lambda: Xlnet(**TEXT),
    "yolov5n": lambda: YoloV5(width=8, image_size=64, class_count=7),
    "yolov5s": lambda: YoloV5(width=8, image_size=64, class_count=7),
}
"""A small instance of every architecture, by the name of the true size."""
COUNTS = {
    "albert_base": 11_094_530,
    "bert_base": 108_893_186,
    "clip_text_large": 123_060_480,
    "clip_vit_b32": 151_277_313,
    "conformer_medium": 27_069_952,
    "deberta_base": 138_603_266,
    "distilbert_base": 66_364_418,
    "efficientnet_lite0": 4_652_008,
    "minilm_l6": 22_566_146,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet8": 78_186,
    "resnet50": 25_557_032,
    "roberta_base": 124_056_578,
    "roformer_base": 123_458_305,
    "swin_large": 196_735_516,
    "unet": 859_520_964,
    "vae_decoder": 49_490_199,
    "vae_encoder": 34_163_664,
    "vit_base": 86_567_656,
    "waveglow_256": 87_731_816,
    "wide_deep": 2_380_690,
    "wide_deep_small": 585_106,
    "xlnet_base": 116_719_874,
    "yolov5n": 1_872_157,
    "yolov5s": 7_235_389,
}
BLOCK = {"length": 12, "width": 16, "heads": 2, "inner": 24}
PARTS = {
    "conv_depthwise_k5": {"channels_in": 8, "channels_out": 8, "groups": 8, "side": 9},
    "conv_group_k3": {"channels_in": 8, "channels_out": 8, "groups": 4, "side": 9},
    "conv_pointwise": {"channels_in": 8, "channels_out": 6, "side": 9},
    "decoder_block_s128": BLOCK,
    "encoder_block_s128": BLOCK,
    "gru_s128": {"length": 12, "width": 16},
    "lstm_s128": {"length": 12, "width": 16},
}
"""Smaller sizes for one part of each kind."""
# Another size of the same code needs no test of its own formats.
SAME_CODE = {"minilm_l6": "bert_base", "resnet32": "resnet20", "yolov5n": "yolov5s"}
# Largest difference to float64, in shares of the largest answer. A drawn YOLOv5 of few
# channels has some whose variance is next to nothing.
CLOSE = {"FP32": 2e-5, "FP16": 5e-3, "INT8": 8e-2}
CLOSE_BUILDERS = {"yolov5n": 2e-4, "yolov5s": 2e-4}


@pytest.fixture(autouse=True)
def _no_framework_warnings() -> Iterator[None]:
    """Keep what frameworks say of themselves on import out of the verdict.

    Yields
    ------
    None
        For the test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def feeds_of(info: ModelInfo, architecture: Architecture, count: int) -> Feeds:
    """Draw inputs under the names, layouts and types of the model file."""
    drawn = architecture.example(count, seed=5)
    if info.framework != "Tensorflow":
        return dict(zip(info.input_names, drawn.values(), strict=True))
    if info.layout == "NHWC":
        (picture,) = drawn.values()
        return {info.inputs: np.ascontiguousarray(picture.transpose(0, 2, 3, 1))}
    renamed = {"attention_mask": "input_mask", "token_type_ids": "segment_ids"}
    named = {}
    for spec in info.tensors:
        name = plain_name(spec.name)
        source = name if name in drawn else {v: k for k, v in renamed.items()}[name]
        named[spec.name] = drawn[source].astype(spec.dtype)
    return named


def reference(
    info: ModelInfo, architecture: Architecture, weights: Weights, feeds: Feeds
) -> Feeds:
    """Run the canonical module in double precision on all samples at once."""
    import torch

    module = load_weights(architecture.torch_module().double(), weights, "test")
    inputs = {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in ((n, torch.from_numpy(a.copy())) for n, a in feeds.items())
    }
    with torch.inference_mode():
        if info.framework == "Tensorflow":
            plain = {plain_name(name): tensor for name, tensor in inputs.items()}
            found = module(*architecture.twin_inputs(plain))
            found = found if isinstance(found, tuple) else (found,)
            named = architecture.twin_outputs(found)
            return {n: named[plain_name(n)].numpy() for n in info.output_names}
        found = module(*inputs.values())
        found = found if isinstance(found, tuple) else (found,)
    return {n: t.numpy() for n, t in zip(info.output_names, found, strict=True)}


def distinct_models() -> list[str]:
    """One model file for each architecture, format and precision."""
    found = {}
    for name in list_models():
        info = load_model_info(name)
        code = SAME_CODE.get(str(info.builder), str(info.builder))
        found.setdefault((code, info.model_format, info.model_precision), name)
    return list(found.values())


@pytest.mark.parametrize("name", distinct_models())
def test_a_format_answers_as_the_reference_and_at_any_batch(
    name: str, tmp_path: Path
) -> None:
    """Float32 in its own runtime agrees with float64, and batch 3 with batch 1.

    For TensorFlow this is the equality of two implementations on the same weights:
    a wrong name, a missing transpose or a wrong epsilon would show.
    """
    info = load_model_info(name)
    check_format(info, SMALL[str(info.builder)](), tmp_path)


@pytest.mark.parametrize("part", sorted(PARTS))
@pytest.mark.parametrize("framework", ["torch", "onnx"])
def test_a_part_answers_as_the_reference_and_at_any_batch(
    part: str, framework: str, tmp_path: Path
) -> None:
    """Blocks, convolutions and recurrences are held to what models are held to."""
    row = SUBSTRUCTURES[part]
    small = Part(msgspec.structs.replace(row, sizes=row.sizes | PARTS[part]))
    check_format(load_model_info(f"{part}-{framework}-fp32"), small, tmp_path)


def check_format(info: ModelInfo, architecture: Architecture, folder: Path) -> None:
    """Export, run batches of three and of one, and compare both with the reference."""
    weights = architecture.seeded_weights(3)
    run = OPEN[info.model_format](
        folder / export_model(info, architecture, weights, folder), info
    )
    feeds = feeds_of(info, architecture, 3)
    found = run(feeds)
    expected = reference(info, architecture, weights, feeds)
    singles = []
    for index in range(3):
        one = {}
        for spec in info.tensors:
            rows = int(spec.shape[0])
            if spec.shared:
                one[spec.name] = feeds[spec.name]
                continue
            one[spec.name] = feeds[spec.name][index * rows : (index + 1) * rows]
        singles.append(run(one))
    assert list(found) == list(info.output_names)
    for output in info.output_names:
        assert expected[output].dtype == np.float64
        assert found[output].dtype == np.float32
        assert len(found[output]) == 3
        # What every sample answers alike proves nothing.
        assert expected[output].std(axis=0).max() > 1e-3
        scale = np.abs(expected[output]).max()
        close = scale * CLOSE_BUILDERS.get(
            str(info.builder), CLOSE[info.model_precision]
        )
        np.testing.assert_allclose(found[output], expected[output], atol=close, rtol=0)
        if info.model_precision != "FP32":
            # Narrow weights that changed nothing were not narrow.
            assert np.abs(found[output] - expected[output]).max() > scale * 1e-5
        joined = np.concatenate([single[output] for single in singles])
        np.testing.assert_allclose(joined, found[output], atol=close, rtol=0)


@pytest.mark.parametrize("name", ["bert-tf-fp32", "distilbert-tf-fp32"])
def test_padding_changes_no_answer(name: str, tmp_path: Path) -> None:
    """What stands behind the mask is not seen."""
    info = load_model_info(name)
    architecture = SMALL[str(info.builder)]()
    weights = architecture.seeded_weights(3)
    run = OPEN[info.model_format](
        tmp_path / export_model(info, architecture, weights, tmp_path), info
    )
    feeds = feeds_of(info, architecture, 2)
    ids = next(s.name for s in info.tensors if s.semantics == "token_ids")
    mask = next(s.name for s in info.tensors if s.semantics == "attention_mask")
    other = feeds | {
        ids: np.where(feeds[mask] == 0, 99, feeds[ids]).astype(feeds[ids].dtype)
    }
    assert (other[ids] != feeds[ids]).any()
    seen = feeds[mask] == 1
    for output in info.output_names:
        before, after = run(feeds)[output], run(other)[output]
        np.testing.assert_allclose(before[seen], after[seen], atol=1e-6)


@pytest.mark.parametrize("builder", list_architectures())
def test_full_sizes_have_the_published_counts(builder: str) -> None:
    """Parameters of every architecture, and of every model file that names it."""
    assert find_architecture(builder).parameter_count() == COUNTS[builder]
    for info in map(load_model_info, list_models()):
        assert info.builder != builder or info.parameters == COUNTS[builder]


def test_a_block_has_the_size_of_the_model_it_is_of() -> None:
    """An encoder block is a twelfth of BERT-base's encoder."""
    block = find_architecture("encoder_block_s128").parameter_count()
    assert 12 * block == 85_054_464


def test_frameworks_and_precisions_share_their_weights() -> None:
    """All of bert are one model, and all of resnet50: one builder, one seed."""
    for family in ("bert", "resnet50"):
        infos = [
            load_model_info(n) for n in list_models() if n.startswith(f"{family}-")
        ]
        assert {info.framework for info in infos} == {"Pytorch", "Tensorflow", "Onnx"}
        assert len({(i.builder, i.seed, i.weights) for i in infos}) == 1


@pytest.mark.parametrize("family", ["bert", "resnet50"])
def test_frameworks_agree_with_each_other(family: str, tmp_path: Path) -> None:
    """One set of weights and one input: PyTorch, TensorFlow and ONNX answer alike."""
    names = [f"{family}-{framework}-fp32" for framework in ("torch", "tf", "onnx")]
    answers = []
    for name in names:
        info = load_model_info(name)
        architecture = SMALL[str(info.builder)]()
        folder = tmp_path / name
        folder.mkdir()
        weights = architecture.seeded_weights(3)
        path = folder / export_model(info, architecture, weights, folder)
        found = OPEN[info.model_format](path, info)(feeds_of(info, architecture, 3))
        arrays = list(found.values())
        if info.framework != "Tensorflow":
            # TensorFlow's original stacks start and end, and gives probabilities.
            arrays = [
                np.stack(arrays, axis=-1)
                if family == "bert"
                else np.exp(arrays[0]) / np.exp(arrays[0]).sum(axis=1, keepdims=True)
            ]
        answers.append(arrays[0])
    scale = np.abs(answers[0]).max()
    for other in answers[1:]:
        assert np.abs(answers[0] - other).max() < 1e-5 * scale
    assert answers[0].std(axis=0).max() > 1e-3 * scale


def test_weights_and_files_are_the_same_bits_in_other_processes(tmp_path: Path) -> None:
    """Neither hash seeds nor thread counts reach weights or artefacts."""
    code = (
        "import sys, json, warnings; warnings.simplefilter('ignore');"
        "from pathlib import Path;"
        "from bytemlperf.model_zoo import load_model_info;"
        "from bytemlperf.model_zoo.artefact_store import hash_tree;"
        "from bytemlperf.model_zoo.builders.resnet import ResNet;"
        "from bytemlperf.model_zoo.exporting import export_model;"
        "from bytemlperf.model_zoo.weights import hash_weights;"
        "a = ResNet((1, 1), width=8, class_count=11, image_size=64);"
        "w = a.seeded_weights(0); out = [hash_weights(w)];"
        "folder = Path(sys.argv[1]); folder.mkdir();"
        "out += [hash_tree(folder / export_model(load_model_info(n), a, w, folder))"
        " for n in ('resnet50-torch-fp32', 'resnet50-tf-fp32')];"
        "print(json.dumps(out))"
    )
    found = []
    for seed, threads in (("1", "1"), ("2", "2")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert found[0] == found[1]
    here = ResNet((1, 1), width=8, class_count=11, image_size=64).seeded_weights(0)
    assert found[0][0] == hash_weights(here)


def test_a_torchscript_file_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    """The hash of a model says what it is, not where it was built."""
    info = load_model_info("resnet50-torch-fp32")
    architecture = SMALL[str(info.builder)]()
    name = export_model(info, architecture, architecture.seeded_weights(0), tmp_path)
    body = (tmp_path / name).read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in body
    assert sys.prefix.encode() not in body


def test_classes_chosen_by_a_drawn_resnet_vary() -> None:
    """A network that says the same to all pictures could not show an error."""
    import torch

    architecture = ResNet((1, 2), width=8, class_count=11, image_size=48)
    weights = architecture.seeded_weights(0)
    module = load_weights(architecture.torch_module(), weights, "test")
    with torch.inference_mode():
        logits = module(
            torch.from_numpy(architecture.example(16, 1)["input_1"])
        ).numpy()
    assert len(set(logits.argmax(1))) >= 4
    assert 0.3 < logits.std() < 3.0


def test_a_model_file_that_does_not_fit_the_builder_is_refused(tmp_path: Path) -> None:
    """Inputs, outputs and format are checked against the architecture."""
    raw = json.loads(
        (Path(find_architecture.__code__.co_filename).parents[1] / "bert-tf-fp32.json")
        .read_text()
        .replace("segment_ids:0", "segments:0")
    )
    info = parse_model_info(json.dumps(raw).encode(), "x.json")
    architecture = SMALL["bert_base"]()
    weights = architecture.seeded_weights(0)
    with pytest.raises(PrepareError, match=r"\$\.inputs are .*'segments'"):
        export_model(info, architecture, weights, tmp_path)
    raw["model_format"] = "bin"
    info = parse_model_info(json.dumps(raw).encode(), "x.json")
    with pytest.raises(PrepareError, match="format 'bin' cannot be built"):
        export_model(info, architecture, weights, tmp_path)


def test_weights_of_another_size_are_refused() -> None:
    """A shape that differs is named with both shapes."""
    wide = Bert(**(TEXT | {"width": 96})).seeded_weights(0)
    with pytest.raises(
        PrepareError, match=r"expected shape \(120, 48\) for 'bert\.emb"
    ):
        load_weights(Bert(**TEXT).torch_module(), wide, "x.pth")


def test_weights_too_large_for_a_protobuf_stand_beside_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers from a graph and a file of weights, and both are hashed."""
    info = load_model_info("vae-decoder-onnx-fp32")
    architecture = SMALL[str(info.builder)]()
    weights = architecture.seeded_weights(3)
    found = []
    for name, limit in (("inside", 1 << 30), ("beside", 1000)):
        monkeypatch.setattr(exporting, "MAX_ONNX_BYTES", limit)
        folder = tmp_path / name
        folder.mkdir()
        path = folder / export_model(info, architecture, weights, folder)
        found.append(
            OPEN["onnx"](path, info)(feeds_of(info, architecture, 2))["sample"]
        )
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "model.onnx",
        "model.onnx.data",
    ]
    assert path.stat().st_size < (tmp_path / "inside" / "model.onnx").stat().st_size / 2
    np.testing.assert_array_equal(found[0], found[1])
    before = hash_tree(path)
    body = bytearray((path.parent / "model.onnx.data").read_bytes())
    body[-1] ^= 1
    (path.parent / "model.onnx.data").write_bytes(body)
    assert hash_tree(path) != before
