"""Conditional random fields that are not layers of the PAC paper, and the parts that all of them share.

`pacbench.nn.PacCRF` is the paper's own; here are the methods that it is compared with, each with its set-up
(``kernel``) and its mean-field iterations (``steps``) apart, so that each can be timed by itself.
"""

from pacbench.crf.conv_crf import ConvCRF
from pacbench.crf.edge_features import create_position_feats, create_YXRGB
from pacbench.crf.full_crf import FullCRF

__all__ = ["ConvCRF", "FullCRF", "create_YXRGB", "create_position_feats"]
