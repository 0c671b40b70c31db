"""Conditional random fields that are not layers of the PAC paper, and the parts that all of them share.

`pacbench.nn.PacCRF` is the paper's own; here are the methods that it is compared with, each with its set-up
(``kernel``) and its mean-field iterations (``steps``) apart, so that each can be timed by itself.
"""

from pacbench.crf.bcl_crf import BCLCRF
from pacbench.crf.conv_crf import ConvCRF
from pacbench.crf.edge_features import EdgeFeatures, create_position_feats, create_YXRGB
from pacbench.crf.full_crf import FullCRF
from pacbench.crf.full_crf_pydensecrf2 import FullCRFPydensecrf2
from pacbench.crf.lattice import PermutohedralLattice

__all__ = [
    "BCLCRF",
    "ConvCRF",
    "EdgeFeatures",
    "FullCRF",
    "FullCRFPydensecrf2",
    "PermutohedralLattice",
    "create_YXRGB",
    "create_position_feats",
]
