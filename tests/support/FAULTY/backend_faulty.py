"""A backend that keeps the contract, but for the one rule that FAULT names."""

import os
import signal
import subprocess
import threading

import numpy as np

from bytemlperf.backends import Backend

WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
LEAK = []
FORKED = []


class BackendFAULTY(Backend):
    def __init__(self):
        super().__init__()
        self.fault = os.environ.get("FAULT", "")
        self.hardware_type = "OTHER" if self.fault == "attributes" else "FAULTY"
        self.batch_size = 0
        self.buffer = np.zeros((64, 4), np.float32)
        self.seen = None
        self.calls = 0

    def version(self):
        return "" if self.fault == "version" else "faulty-1.0"

    def get_interact_profile(self, config):
        question = {
            "name": "threads",
            "note": "How many?",
            "dialog_type": "Input Dialog",
            "type": "int",
            "default": "many" if self.fault == "profile" else 1,
            "depends": None,
        }
        return [question]

    def compile(self, configs, dataloader=None):
        model_info = configs["model_info"]
        if model_info["framework"] != "Onnx":
            raise ValueError("only Onnx")
        if self.fault == "exits":
            os._exit(7)
        names = model_info["outputs"].split(",")
        result = {
            "model": "probe",
            "framework": "Onnx",
            "compile_precision": "fp32",
            "input_type": ["FLOAT32", "INT64"],
            "max_batch_size": 4,
            "compile_status": "success",
            "sg_percent": 100,
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": self.fault == "coverage",
                    "input_tensor_map": {"a": [-1, 4], "b": [-1, 4]},
                    "output_tensor_map": {name: [-1, 4] for name in names},
                    "compiled_model": [{"compiled_bs": 4, "compiled_obj": "none"}],
                }
            ],
            "instance_count": 2,
        }
        if self.fault == "compile-onnx":
            del result["segments"][0]["sg_idx"]
        if self.fault == "global-state":
            os.environ["FAULTY_WAS_HERE"] = "1"
        return result

    def load(self, batch_size):
        self.batch_size = batch_size
        if self.fault == "unload":
            LEAK.append(np.ones(1 << 20))

    def get_loaded_batch_size(self):
        return -1 if self.fault == "load" else self.batch_size

    def predict(self, data):
        self.calls += 1
        if self.fault == "errors":
            data = {"a": np.zeros((self.batch_size, 4), np.float32)} | dict(data)
            data.setdefault("b", np.zeros((self.batch_size, 4), np.int64))
            if data["a"].shape[1] != 4:
                data["a"] = np.zeros((self.batch_size, 4), np.float32)
        a, b = data["a"], data["b"]
        if self.fault == "by-name":
            a, b = (value.astype(np.float32) for value in data.values())
        if self.fault == "nan":
            a = np.nan_to_num(a)
        if a.shape[1] != 4:
            raise ValueError(f"a has shape {a.shape}, expected 4 values a row")
        real = b.astype(np.float32)
        answer = {
            "weighted": np.maximum(a, 0) @ WEIGHTS,
            "mixed": 2 * a - real,
            "echo": a.copy(),
        }
        return getattr(self, self.fault.replace("-", "_"), same)(answer, data)

    def answers(self, answer, data):
        return {name: value[0] for name, value in answer.items()}

    def correct(self, answer, data):
        return answer | {"mixed": answer["mixed"] * 1.01}

    def batch_invariant(self, answer, data):
        mean = answer["mixed"].mean(axis=0, keepdims=True)
        return answer | {"mixed": answer["mixed"] - 1e-2 * (mean - answer["mixed"])}

    def deterministic(self, answer, data):
        return answer | {"mixed": answer["mixed"] * (1 + 1e-6 * self.calls)}

    def inputs_untouched(self, answer, data):
        base = data["a"]
        while base.base is not None:
            base = base.base
        base.view(np.uint8)[...] = 0
        return answer

    def no_alias(self, answer, data):
        return answer | {"echo": data["a"]}

    def inputs_released(self, answer, data):
        self.seen = data["a"]
        return answer

    def finished(self, answer, data):
        late = answer["echo"]
        threading.Timer(0.05, lambda: late.__setitem__(0, 42)).start()
        return answer

    def outputs_stay(self, answer, data):
        rows = len(answer["mixed"])
        self.buffer[:rows] = answer["mixed"]
        return answer | {"mixed": self.buffer[:rows]}

    def any_thread(self, answer, data):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("wrong thread")
        return answer

    def threads(self, answer, data):
        self.seen = answer
        threading.Event().wait(0.001)
        return self.seen

    def compile_again(self, answer, data):
        FORKED.append(id(self)) if id(self) not in FORKED else None
        step = 0.1 * FORKED.index(id(self))
        return answer | {"mixed": answer["mixed"] + np.float32(step)}

    def memory(self, answer, data):
        LEAK.append(np.ones(4096, np.uint8))
        return answer

    def no_children(self, answer, data):
        LEAK.append(subprocess.Popen(["sleep", "30"]))
        return answer

    def quiet(self, answer, data):
        os.write(1, b"predicting\n")
        return answer

    def segfaults(self, answer, data):
        os.kill(os.getpid(), signal.SIGSEGV)


def same(answer, data):
    return answer
