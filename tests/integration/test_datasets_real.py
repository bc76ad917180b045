"""Real data, real weights, real processes: the road from a file to a score."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bytemlperf.datasets import (
    ModelHints,
    find_data_root,
    open_arrays,
    open_labels,
    prepare_samples,
)
from bytemlperf.datasets.farmhash import hash_bucket
from bytemlperf.quality import score
from bytemlperf.tensor_spec import TensorSpec

CHECKOUT = Path(__file__).resolve().parents[2]

QA_LENGTH = 256
QA_SPECS = (
    TensorSpec("input_ids", "int64", (1, QA_LENGTH), "token_ids", 0, 30522),
    TensorSpec("attention_mask", "int64", (1, QA_LENGTH), "attention_mask"),
    TensorSpec("token_type_ids", "int64", (1, QA_LENGTH), "segment_ids"),
)


@pytest.fixture(scope="module")
def data_root():
    root = find_data_root()
    if root is None:
        pytest.skip("no sample data: BYTEMLPERF_DATA is not set, ../shared/data absent")
    return root


def run_python(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def span_model(data_root):
    """Build the MiniLM span model, trained on the articles that are not held out."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertForQuestionAnswering

    folder = data_root / "minilm_qa"
    config = BertConfig.from_json_file(str(folder / "config.json"))
    model = BertForQuestionAnswering(config).eval()
    stored = load_file(folder / "minilm_l6_qa.fp16.safetensors")
    model.load_state_dict({name: value.float() for name, value in stored.items()})

    def predict(feeds):
        with torch.inference_mode():
            out = model(**{k: torch.from_numpy(np.array(v)) for k, v in feeds.items()})
        return {
            "start_logits": out.start_logits.numpy(),
            "end_logits": out.end_logits.numpy(),
        }

    return predict


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.frameworks
def test_trained_weights_reach_their_score_at_any_batch_size(
    tmp_path, data_root, span_model
):
    """MiniLM on held-out SQuAD: EM 30.2, F1 39.5 within the interval, at 1, 3 and 8."""
    prepared = prepare_samples(
        "open_squad",
        specs=QA_SPECS,
        model=ModelHints(model="minilm", framework="Pytorch", article_stride=4),
        cache_dir=tmp_path,
        data_root=data_root,
        max_samples=24,
        seed=0,
    )
    arrays, labels = open_arrays(prepared), open_labels(prepared)
    assert prepared.origin == "real"
    scores = []
    for batch_size in (1, 3, 8):
        parts = [
            span_model({k: v[at : at + batch_size] for k, v in arrays.items()})
            for at in range(0, prepared.count, batch_size)
        ]
        outputs = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        scores.append(score("squad_v1", outputs, labels, np.arange(prepared.count)))
    assert scores[0] == scores[1] == scores[2]
    assert scores[0].n >= 20
    for name, published in [("exact_match", 0.3023), ("f1", 0.3948)]:
        interval = scores[0].figure(name).interval
        assert interval.low <= published <= interval.high


@pytest.mark.data
@pytest.mark.frameworks
def test_every_dataset_is_real_where_the_data_is(tmp_path, data_root):
    """All four loaders read the sample data, with licence, hashes and a metric."""
    image = TensorSpec("x", "float32", (1, 3, 64, 64), "image")
    pairs = TensorSpec("c", "int64", (26, 2), "category_pairs", 0, 1000)
    wanted = {
        "open_imagenet": ((image,), "top_k"),
        "open_squad": (QA_SPECS, "squad_v1"),
        "open_criteo_kaggle": (
            (TensorSpec("n", "float32", (1, 13)), pairs),
            "criteo",
        ),
        "open_coco": ((image,), "coco_map"),
    }
    for dataset, (specs, metric) in wanted.items():
        prepared = prepare_samples(
            dataset,
            specs=specs,
            model=ModelHints(model="any", framework="Onnx"),
            cache_dir=tmp_path,
            data_root=data_root,
            max_samples=12,
            seed=3,
        )
        assert (prepared.origin, prepared.reason) == ("real", None)
        assert prepared.metric == metric
        assert 10 <= prepared.count <= 12
        assert prepared.licence
        assert all(len(digest) == 64 for digest in prepared.source_sha256.values())
        for name, array in open_arrays(prepared).items():
            samples = array.reshape(prepared.count, -1)
            assert len(np.unique(samples, axis=0)) == prepared.count, name


@pytest.mark.slow
@pytest.mark.frameworks
def test_hash_equals_tensorflow_on_any_short_text():
    """Models trained on `to_hash_bucket_fast` see the buckets they were trained on."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    texts = [
        "".join(random.choice(list("0123456789abcdefé"), size))
        for size in np.tile(np.arange(16), 40)
    ]
    texts = [text for text in texts if len(text.encode()) <= 16]
    hashed = tf.strings.to_hash_bucket_fast(texts, 1_000_003).numpy()
    assert hashed.tolist() == [hash_bucket(text, 1_000_003) for text in texts]


def test_reading_and_scoring_need_numpy_and_msgspec_only(tmp_path):
    """A vendor's environment has no Pillow, no tokenizers and no framework."""
    prepared = prepare_samples(
        None,
        specs=(TensorSpec("x", "float32", (1, 3)),),
        model=ModelHints(model="any", framework="Onnx"),
        cache_dir=tmp_path,
        data_root=None,
        max_samples=4,
        seed=0,
    )
    code = """
import sys
from pathlib import Path
from bytemlperf.datasets import load_prepared, open_arrays, open_labels
from bytemlperf.quality import compare_outputs, score
outputs = dict(open_arrays(load_prepared(Path(sys.argv[1]))))
compare_outputs(outputs, outputs, reference_ids=range(4), actual_ids=range(4))
import numpy as np
score("top_k", outputs, {"label": np.zeros(4, int)}, range(4))
foreign = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
# msgspec looks for typing_extensions, and takes it where it is.
foreign -= {"typing_extensions"}
print(sorted(name for name in foreign if not name.startswith(("_", "numpy"))))
"""
    process = run_python(code, prepared.folder)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert printed.strip() == "['bytemlperf', 'msgspec']"


def test_a_killed_preparation_leaves_nothing_that_counts(tmp_path):
    """SIGKILL in the middle: the next one cleans up and prepares in full."""
    code = """
import sys
from pathlib import Path
from bytemlperf.datasets import ModelHints, prepare_samples
from bytemlperf.tensor_spec import TensorSpec

def stop_half_way(stage, done, total):
    if done == 2:
        print("half way", flush=True)
        sys.stdin.read()

prepare_samples(
    None,
    specs=(TensorSpec("x", "float32", (1, 3)),),
    model=ModelHints(model="any", framework="Onnx"),
    cache_dir=Path(sys.argv[1]),
    data_root=None,
    max_samples=4,
    seed=0,
    progress=stop_half_way if len(sys.argv) > 2 else None,
)
"""
    killed = run_python(code, tmp_path, "stop")
    assert killed.stdout.readline() == "half way\n"
    killed.kill()
    killed.communicate(timeout=60)
    assert [path.name[:9] for path in tmp_path.glob(".partial*")] == [".partial-"]
    again = run_python(code, tmp_path)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert list(tmp_path.glob(".partial*")) == []
    assert len(list(tmp_path.glob("*/prepared.json"))) == 1
