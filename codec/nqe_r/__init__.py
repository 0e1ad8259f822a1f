"""`nqe-r`: transforms of two sizes, quantization to any step, two entropy coders."""
