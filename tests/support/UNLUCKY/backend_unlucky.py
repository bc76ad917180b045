"""A backend that goes wrong where ``faults.json`` beside it says.

``{"predict:8": "segfault"}``: the place is ``compile``, ``load:<size>``,
``predict:<size>`` or ``benchmark``, the fault one of the ``_do_`` methods, its argument
behind ``=``. ``{"once": "predict:8"}`` names a place that goes wrong only once,
``{"model": "yes"}`` asks for a model, so that numerics are compared, and
``{"threads": "2"}`` for so many predict threads.
"""

import ctypes
import json
import os
import random
import resource
import signal
import threading
from pathlib import Path

import numpy as np

from bytemlperf.backends import Backend

SERVICE_SECONDS = 0.001


class BackendUNLUCKY(Backend):
    """Answer zeros after a millisecond, unless told otherwise."""

    def __init__(self):
        super().__init__()
        self.hardware_type = "UNLUCKY"
        self._faults = json.loads(Path(__file__).with_name("faults.json").read_text())
        self.need_model = "model" in self._faults
        self._loaded = 0
        self._stop = threading.Event()
        self._random = random.Random(0)
        self._calls = 0

    def version(self):
        return "unlucky-1"

    def compile(self, configs, dataloader=None):
        self._fault("compile")
        info = configs["model_info"]
        sizes = configs["workload"]["batch_sizes"]
        outputs = [name.strip() for name in info["outputs"].split(",")]
        self._outputs = outputs
        return {
            "model": info["model"],
            "framework": "none",
            "compile_precision": "none",
            "input_type": ["FLOAT32"],
            "max_batch_size": max(sizes),
            "compile_status": "success",
            "sg_percent": 100,
            "instance_count": int(self._faults.get("threads", 1)),
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": {},
                    "output_tensor_map": {},
                    "compiled_model": [{"compiled_bs": 1, "compiled_obj": "none"}],
                }
            ],
        }

    def load(self, batch_size):
        self._fault(f"load:{batch_size}")
        self._loaded = batch_size
        self._calls = 0

    def get_loaded_batch_size(self):
        return self._loaded

    def predict(self, data):
        self._calls += 1
        self._feeds = data
        # The first calls are the loading phase's own.
        if self._calls > 3:
            self._fault(f"predict:{self._loaded}")
        self._stop.wait(SERVICE_SECONDS)
        count = len(next(iter(data.values())))
        return {name: np.zeros((count, 1), np.float32) for name in self._outputs}

    def benchmark(self, dataloader):
        return self._fault("benchmark")

    def _fault(self, place):
        fault = self._faults.get(place)
        if fault is not None and self._is_due(place):
            name, _, argument = fault.partition("=")
            return getattr(self, f"_do_{name}")(argument)
        return None

    def _is_due(self, place):
        if self._faults.get("once") != place:
            return True
        try:
            Path(__file__).with_name("once").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _do_raise(self, message):
        raise RuntimeError(message or "device lost")

    def _do_unsayable(self, _):
        # A file name whose bytes are not UTF-8, as Python has it.
        raise RuntimeError("cannot read /dev/\udcff")

    def _do_figures(self, _):
        return {1: object()}

    def _do_sometimes(self, share):
        if self._random.random() < float(share):
            raise RuntimeError("this query was unlucky")

    def _do_segfault(self, _):
        ctypes.string_at(0)

    def _do_kill(self, _):
        os.kill(os.getpid(), signal.SIGKILL)

    def _do_exit(self, code):
        os._exit(int(code or 0))

    def _do_hang(self, _):
        self._stop.wait()

    def _do_slow(self, seconds):
        self._stop.wait(float(seconds))

    def _do_write(self, _):
        # As native code does that was told an address: numpy would refuse.
        for array in self._feeds.values():
            ctypes.memset(array.ctypes.data, 0xA5, array.nbytes)

    def _do_memory(self, _):
        # What a process gets when the machine has no more, without harming others.
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        np.ones(1 << 30)

    def _do_eat(self, _):
        # Until the kernel has had enough.
        self._eaten = [np.ones(1 << 24) for _ in range(64)]

    def _do_child(self, _):
        # A driver's helper process that nobody ends.
        if os.fork() == 0:
            signal.pause()
            os._exit(0)
        self._faults = {}

    def _do_fork(self, _):
        # Both come back: the child goes on with a copy of the whole run.
        self._faults = {}
        os.fork()

    def _do_show(self, name):
        part = os.environ.get("BYTEMLPERF_PART")
        # One write: the parts share a log, and print() writes the line's end apart.
        os.write(1, f"part {part}: {os.environ.get(name)}\n".encode())

    def _do_noise(self, count):
        os.write(1, b"\xff\xfe not text \x1b[2J\n" * int(count))
