"""ONNX Runtime, with a choice of execution providers."""
