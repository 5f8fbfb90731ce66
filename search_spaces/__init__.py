"""Architectures, and the spaces that a search samples them from. Importing this loads no
TensorFlow.
"""

from search_spaces.compression import CompressionSpace
from search_spaces.dbpn import DBPN
from search_spaces.edsr import EDSR
from search_spaces.fpn import FPN
from search_spaces.named import ARCHITECTURES, architecture_from_dict
from search_spaces.networks import NetworkSpace, with_networks
from search_spaces.rdn import RDN
from search_spaces.sgn import SGN
from search_spaces.unet import UNet
from search_spaces.unet_space import UNetSpace

__all__ = [
    "ARCHITECTURES",
    "DBPN",
    "EDSR",
    "FPN",
    "RDN",
    "SGN",
    "CompressionSpace",
    "NetworkSpace",
    "UNet",
    "UNetSpace",
    "architecture_from_dict",
    "with_networks",
]
