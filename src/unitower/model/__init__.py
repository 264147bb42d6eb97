"""The tower in PyTorch: tensors in, tensors out. It knows neither files nor items."""
