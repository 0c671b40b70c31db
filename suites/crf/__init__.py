"""The segmentation workload: CRF methods on unaries, their mIoU, time and memory."""
