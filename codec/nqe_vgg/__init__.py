"""`nqe-vgg`: a quantized convolutional network in integers, and its binary code."""
