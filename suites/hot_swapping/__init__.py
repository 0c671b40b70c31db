"""The hot-swapping workload: a segmentation network, its pixel-adaptive form, and each with a PAC-CRF behind it."""
