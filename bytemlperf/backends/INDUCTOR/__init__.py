"""PyTorch's own compiler, TorchInductor."""
