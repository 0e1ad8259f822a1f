"""The C sources, the loader of the extension that they make, and the packing of weights for it."""
