"""The embedding model multilingual-e5-small, run by ONNX Runtime."""
