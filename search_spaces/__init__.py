"""Architectures and their choices. Importing this loads no TensorFlow."""

from search_spaces.compression import CompressionSpace
from search_spaces.named import ARCHITECTURES, architecture_from_dict
from search_spaces.unet import UNet, UNetSpace

__all__ = ["ARCHITECTURES", "CompressionSpace", "UNet", "UNetSpace", "architecture_from_dict"]
