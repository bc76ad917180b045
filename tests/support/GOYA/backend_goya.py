"""A vendor's backend, written from the original README alone.

It does not call ``super().__init__()``, prints, and leaves out optional methods.
"""

import os

import torch

from bytemlperf.backends import Backend


class BackendGOYA(Backend):
    def __init__(self):
        self.hardware_type = "GOYA"
        self.configs = None
        self.model = None
        self.batch_size = 1

    def version(self):
        return "goya-1.0"

    def pre_optimize(self, configs):
        return configs

    def compile(self, configs, dataloader=None):
        self.configs = configs
        model_info = configs["model_info"]
        print("compiling", os.path.basename(model_info["model_path"]))
        self.model = torch.jit.load(model_info["model_path"]).eval()
        batch_sizes = configs["workload"]["batch_sizes"]
        return {
            "model": model_info["model"],
            "framework": model_info["framework"],
            "compile_precision": "fp32",
            "input_type": model_info["input_type"].split(","),
            "max_batch_size": max(batch_sizes),
            "compile_status": "success",
            "sg_percent": 100,
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": model_info["input_shape"],
                    "output_tensor_map": {
                        name: [-1] for name in model_info["outputs"].split(",")
                    },
                    "compiled_model": [
                        {"compiled_bs": size, "compiled_obj": "goya.obj"}
                        for size in batch_sizes
                    ],
                },
            ],
        }

    def get_interact_profile(self, config):
        return None

    def load(self, batch_size):
        self.batch_size = batch_size

    def get_loaded_batch_size(self):
        return self.batch_size

    def predict(self, data):
        model_info = self.configs["model_info"]
        names = model_info["inputs"].split(",")
        with torch.no_grad():
            results = self.model(*[torch.tensor(data[name]) for name in names])
        if not isinstance(results, tuple):
            results = (results,)
        outputs = model_info["outputs"].split(",")
        return {
            name: result.numpy() for name, result in zip(outputs, results, strict=True)
        }
