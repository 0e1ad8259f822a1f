"""Image classification with the encoder's quantized networks: training, and use of the result.

Sources: the 1 Mb encoder (arXiv 2501.05097) and histogram-equalized quantization (2501.04517).
Needs torch; nothing here needs the coders of the codec.
"""

from .gated_vgg import GatedVgg11, MuxOrNet11, OrNet11, Vgg11
from .images import LabelledImages, load_images
from .networks import build_network, load_classifier, save_classifier
from .nqe_classifier import NqeClassifier
from .recipe import ClassifierRecipe
from .vgg_small import VggSmall

__all__ = [
    "ClassifierRecipe",
    "GatedVgg11",
    "LabelledImages",
    "MuxOrNet11",
    "NqeClassifier",
    "OrNet11",
    "Vgg11",
    "VggSmall",
    "build_network",
    "load_classifier",
    "load_images",
    "save_classifier",
]
