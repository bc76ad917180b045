"""Pictures: transforms against hand-written ones, and errors that point."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, open_arrays, open_labels, prepare_samples
from bytemlperf.datasets.image_transforms import (
    area_resize,
    find_recipe,
    letterbox,
    transform_image,
)
from bytemlperf.errors import PrepareError, UnknownNameError
from bytemlperf.tensor_spec import TensorSpec

pytestmark = pytest.mark.frameworks


def make_pixels(width, height, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3), np.uint8)


def make_image(width, height, seed=0):
    from PIL import Image

    return Image.fromarray(make_pixels(width, height, seed))


def encode(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "height"), [(40, 32), (32, 47), (100, 64)])
def test_resnet_torch_equals_the_steps_by_hand(width, height):
    """Short side 256/224 bilinear, centre crop, ImageNet mean and deviation, NCHW."""
    from PIL import Image

    image = make_image(width, height)
    name, recipe = find_recipe(None, "NCHW")
    short = 32
    if width < height:
        resized = image.resize((short, int(short * height / width)), Image.BILINEAR)
    else:
        resized = image.resize((int(short * width / height), short), Image.BILINEAR)
    left = round((resized.width - 28) / 2)
    top = round((resized.height - 28) / 2)
    crop = np.asarray(resized.crop((left, top, left + 28, top + 28))) / 255
    expected = (crop - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    actual = transform_image(image, recipe, size=28, layout="NCHW")
    assert name == "resnet50_torch"
    assert actual.shape == (3, 28, 28)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected.transpose(2, 0, 1), atol=2e-6)


def test_resnet_tensorflow_subtracts_means_only():
    """A picture whose short side is 256/224 already is cropped, unscaled, NHWC."""
    image = make_image(40, 32)
    name, recipe = find_recipe(None, "NHWC")
    expected = np.asarray(image)[2:30, 6:34] - np.array([123.68, 116.78, 103.94])
    actual = transform_image(image, recipe, size=28, layout="NHWC")
    assert name == "resnet50_tf"
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_vit_has_no_borders():
    """The whole picture is resized; ByteMLPerf cropped 384 of 256 and padded black."""
    from PIL import Image

    image = make_image(50, 20)
    recipe = find_recipe("vit", "NCHW")[1]
    resized = np.asarray(image.resize((24, 24), Image.BILINEAR)) / 255
    actual = transform_image(image, recipe, size=24, layout="NCHW")
    np.testing.assert_allclose(
        actual, ((resized - 0.5) / 0.5).transpose(2, 0, 1), atol=1e-6
    )


def test_no_recipe_ever_crops_beyond_the_picture():
    """White stays white up to the corners, whatever the recipe and the aspect."""
    from PIL import Image

    from bytemlperf.datasets.image_transforms import RECIPES

    for name, recipe in RECIPES.items():
        white = (255 - np.array(recipe.mean)) / np.array(recipe.std)
        for size in [(30, 90), (90, 30), (31, 33)]:
            image = Image.new("RGB", size, "white")
            values = transform_image(image, recipe, size=24, layout="NHWC")
            np.testing.assert_allclose(
                values, np.broadcast_to(white, (24, 24, 3)), atol=1e-4, err_msg=name
            )


def test_area_resize_is_the_mean_of_rectangles():
    """By whole factors the mean of blocks; by others it keeps the overall mean."""
    pixels = make_pixels(12, 8)
    blocks = pixels.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(area_resize(pixels, 4, 4), np.rint(blocks))
    row = np.array([[[0], [30], [60]]], np.uint8).repeat(3, axis=2)
    # Each of the two covers one pixel and half of the middle one.
    assert area_resize(row, 1, 2)[0, :, 0].tolist() == [10, 50]


def test_letterbox_pads_with_grey_and_says_where():
    """Long side to the size, 114 around, an odd pixel to the bottom and the right."""
    pixels, rectangle = letterbox(make_image(40, 21), 20)
    assert rectangle == (0, 5, 20, 15)
    assert (pixels[:5] == 114).all()
    assert (pixels[15:] == 114).all()
    assert not (pixels[5:15] == 114).all()
    _, odd = letterbox(make_image(40, 22), 20)
    assert odd == (0, 4, 20, 15)
    grown, _ = letterbox(make_image(5, 5), 20)
    assert grown.shape == (20, 20, 3)


def write_imagenet(root, count=4, labels=None):
    folder = root / "imagenet_sample"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "imagenet_1per_class_s256.zip", "w") as archive:
        for index in range(count):
            image = encode(make_image(300 + index, 256, index), "JPEG")
            archive.writestr(f"n{index:08d}_thing.JPEG", image)
    rows = labels or [
        {"index": index, "wnid": f"n{index:08d}", "name": "thing"}
        for index in range(count)
    ]
    (folder / "labels.json").write_text(json.dumps(rows))
    return folder / "imagenet_1per_class_s256.zip"


def prepare(root, cache_dir, dataset="open_imagenet", specs=None, **changes):
    spec = TensorSpec("x", "float32", (1, 3, 224, 224), "image")
    arguments = {
        "specs": specs or (spec,),
        "model": ModelHints(model="net", framework="Pytorch"),
        "cache_dir": cache_dir,
        "data_root": root,
        "max_samples": None,
        "seed": 0,
    }
    return prepare_samples(dataset, **(arguments | changes))


def test_labels_follow_their_pictures_in_any_order(tmp_path):
    """Samples are shuffled by the seed; picture and label stay together."""
    write_imagenet(tmp_path, 6)
    hints = ModelHints(model="net", framework="Pytorch", label_offset=1)
    one = prepare(tmp_path, tmp_path / "c")
    two = prepare(tmp_path, tmp_path / "c", seed=1, model=hints)
    first, second = open_arrays(one)["x"], open_arrays(two)["x"]
    labels, shifted = open_labels(one)["label"], open_labels(two)["label"]
    assert sorted(labels) == [0, 1, 2, 3, 4, 5]
    assert sorted(shifted) == [1, 2, 3, 4, 5, 6]
    assert labels.tolist() != (shifted - 1).tolist()
    for index, label in enumerate(labels):
        twin = shifted.tolist().index(label + 1)
        assert np.array_equal(first[index], second[twin])
    assert one.origin == "real"
    assert one.subset.startswith("all 6 training-set-like images")


def test_max_samples_is_spread_over_the_classes(tmp_path):
    """Evenly: 3 of 6 sorted pictures are the first, third and fifth."""
    write_imagenet(tmp_path, 6)
    prepared = prepare(tmp_path, tmp_path / "c", max_samples=3)
    assert sorted(open_labels(prepared)["label"]) == [0, 2, 4]
    assert prepared.subset.startswith("3 evenly of 6")


def test_half_precision_and_nhwc_are_the_specs_wish(tmp_path):
    """Dtype and layout come from the model's spec."""
    write_imagenet(tmp_path, 2)
    spec = TensorSpec("x:0", "float16", (1, 224, 224, 3), "image")
    prepared = prepare(tmp_path, tmp_path / "c", specs=(spec,))
    array = open_arrays(prepared)["x:0"]
    assert (array.dtype, array.shape) == (np.float16, (2, 224, 224, 3))
    assert "123.68" in prepared.transform


def test_corrupt_picture_names_file_and_position(tmp_path):
    """A truncated JPEG stops the preparation and leaves nothing."""
    archive = write_imagenet(tmp_path, 3)
    with zipfile.ZipFile(archive, "a") as file:
        whole = encode(make_image(300, 256), "JPEG")
        file.writestr("n00000002_z.JPEG", whole[: len(whole) // 2])
    with pytest.raises(
        PrepareError, match=r"cannot decode 'n00000002_z.JPEG', picture \d of 4 in"
    ):
        prepare(tmp_path, tmp_path / "c")
    assert [path.name for path in (tmp_path / "c").iterdir()] == [".locks"]


def test_damaged_archive_and_labels(tmp_path):
    """A bad checksum, no zip at all, a malformed or foreign label."""
    archive = write_imagenet(tmp_path, 2)
    whole = archive.read_bytes()
    garbled = bytearray(whole)
    garbled[200:260] = b"\0" * 60
    archive.write_bytes(garbled)
    with pytest.raises(PrepareError, match=r"cannot read 'n00000000_thing.JPEG'"):
        prepare(tmp_path, tmp_path / "c")
    archive.write_bytes(whole[:100])
    with pytest.raises(PrepareError, match="neither a folder nor a readable zip"):
        prepare(tmp_path, tmp_path / "c")
    archive.write_bytes(whole)
    labels = archive.with_name("labels.json")
    labels.write_text('[{"index": "one", "wnid": "n00000000"}]')
    with pytest.raises(PrepareError, match="should be a list of objects with index"):
        prepare(tmp_path, tmp_path / "c")
    labels.write_text('[{"index": 0, "wnid": "n00000000"}]')
    with pytest.raises(PrepareError, match=r"class 'n00000001' of.*is not in labels"):
        prepare(tmp_path, tmp_path / "c")
    rows = [{"index": 999 + at, "wnid": f"n{at:08d}"} for at in range(2)]
    labels.write_text(json.dumps(rows))
    with pytest.raises(PrepareError, match="has class 1000, outside 0 to 999"):
        prepare(tmp_path, tmp_path / "c")


def test_empty_dataset_is_an_error(tmp_path):
    """A zip without pictures is not a dataset."""
    write_imagenet(tmp_path, 0, labels=[{"index": 0, "wnid": "n0"}])
    with pytest.raises(PrepareError, match="the dataset is empty"):
        prepare(tmp_path, tmp_path / "c")


def test_validation_folder_with_map(tmp_path):
    """ByteMLPerf's layout: val_map.txt beside the pictures, many of them absent."""
    folder = tmp_path / "open_imagenet"
    (folder / "ILSVRC2012_img_val").mkdir(parents=True)
    lines = [f"v{index}.JPEG {990 + index}" for index in range(5)]
    (folder / "val_map.txt").write_text("\n".join(lines) + "\n")
    for index in (1, 3):
        content = encode(make_image(256, 256, index), "JPEG")
        (folder / "ILSVRC2012_img_val" / f"v{index}.JPEG").write_bytes(content)
    prepared = prepare(tmp_path, tmp_path / "c")
    assert sorted(open_labels(prepared)["label"]) == [991, 993]
    assert prepared.subset == "all 2 validation images present (5 in val_map.txt)"
    (folder / "val_map.txt").write_text("v1.JPEG 1\nv3.JPEG dog\n")
    with pytest.raises(PrepareError, match=r"line 2: expected '<file> <class>'"):
        prepare(tmp_path, tmp_path / "c")


def test_a_map_cannot_lead_out_of_its_folder(tmp_path):
    """A name with .. is refused, not followed."""
    folder = tmp_path / "open_imagenet"
    folder.mkdir()
    (tmp_path / "secret.JPEG").write_bytes(b"x")
    (folder / "val_map.txt").write_text("../secret.JPEG 1\n")
    with pytest.raises(PrepareError, match="leads out of the folder"):
        prepare(tmp_path, tmp_path / "c")


def test_models_that_pictures_do_not_fit(tmp_path):
    """Two inputs, or one that is no square picture."""
    write_imagenet(tmp_path, 1)
    image = TensorSpec("x", "float32", (1, 3, 8, 8), "image")
    with pytest.raises(
        PrepareError, match="fills one image input, but the model has 2"
    ):
        prepare(tmp_path, tmp_path / "c", specs=(image, image))
    flat = TensorSpec("x", "float32", (1, 3, 8), "image")
    with pytest.raises(PrepareError, match=r"should have shape \(1, 3, n, n\)"):
        prepare(tmp_path, tmp_path / "c", specs=(flat,))
    hints = ModelHints(model="net", framework="Onnx", transform="resnet_torch")
    with pytest.raises(UnknownNameError, match="image transform 'resnet_torch'"):
        prepare(tmp_path, tmp_path / "c", model=hints)


def write_coco(root, boxes):
    folder = root / "coco128"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "coco128_val2017.zip", "w") as archive:
        for index, lines in enumerate(boxes):
            image = encode(make_image(64, 32, index), "JPEG")
            archive.writestr(f"images/val2017/{index:012d}.jpg", image)
            if lines is not None:
                archive.writestr(f"labels/val2017/{index:012d}.txt", lines)


COCO_SPEC = (TensorSpec("images", "float32", (1, 3, 64, 64), "image"),)


def test_coco_boxes_are_in_pixels_of_the_input(tmp_path):
    """A picture of 64 x 32 fills the middle half; its boxes move with it."""
    write_coco(tmp_path, ["5 0.5 0.5 0.5 1\n", None, "0 0 0 0 0\n79 1 1 0 0\n"])
    prepared = prepare(tmp_path, tmp_path / "c", "open_coco", COCO_SPEC)
    labels = open_labels(prepared)
    assert prepared.count == 3
    bounds = labels["image_boxes"].tolist()
    by_count = {bounds[i + 1] - bounds[i]: i for i in range(3)}
    assert sorted(by_count) == [0, 1, 2]
    only = bounds[by_count[1]]
    assert labels["box"][only].tolist() == [16, 16, 48, 48]
    assert labels["box_class"][only] == 5
    assert (labels["picture"] == [0, 16, 64, 48]).all()
    image = open_arrays(prepared)["images"][by_count[1]]
    assert image[:, :16] == pytest.approx(114 / 255)
    assert prepared.subset.startswith("all 3 COCO val2017 images")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.5", "line 2: expected class, centre"),
        ("80 0.5 0.5 0.5 0.5", "line 2: class 80 is outside 0 to 79"),
        ("1 0.5 0.5 0.5 1.5", "line 2: a box should be in shares"),
        ("1 nan 0 0 0", "line 2: expected class"),
        ("dog", "line 2: expected class"),
    ],
)
def test_coco_label_errors_name_file_and_line(tmp_path, line, message):
    """And nothing half-written stays."""
    write_coco(tmp_path, [f"1 0.5 0.5 0.1 0.1\n{line}\n"])
    with pytest.raises(PrepareError, match=message):
        prepare(tmp_path, tmp_path / "c", "open_coco", COCO_SPEC)
    assert [path.name for path in (tmp_path / "c").iterdir()] == [".locks"]


def test_coco_without_boxes_is_empty(tmp_path):
    """Pictures without any box file are not a detection dataset."""
    write_coco(tmp_path, [None])
    with pytest.raises(PrepareError, match="1 pictures and 0 box files"):
        prepare(tmp_path, tmp_path / "c", "open_coco", COCO_SPEC)
