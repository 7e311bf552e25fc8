"""A trained generator of gancli as a traced graph: ``.onnx`` for other programs, ``.pt2`` for plain PyTorch."""
