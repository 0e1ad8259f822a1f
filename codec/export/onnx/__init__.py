"""The encoders as ONNX graphs, and the export of a model to ONNX files."""
