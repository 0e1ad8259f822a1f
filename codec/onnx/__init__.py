"""ONNX: graphs of the networks, built from the stored weights, and their run by onnxruntime."""
