"""Training graphs of `nqe-vgg`: layers, quantizers and gates in torch."""
