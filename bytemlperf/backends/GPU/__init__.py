"""A CUDA device, through PyTorch and ONNX Runtime."""
