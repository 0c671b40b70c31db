"""Whole networks: for segmentation (FCN-8s, a small one, their pixel-adaptive forms) and for joint upsampling."""

from .adaptive_fcn import NetworkWithCRF, pac_fcn
from .crf_behind_network import CRFOnUnary, pac_crf
from .fcn8s import FCN8s
from .small_fcn import SmallFCN

__all__ = ["CRFOnUnary", "FCN8s", "NetworkWithCRF", "SmallFCN", "pac_crf", "pac_fcn"]
