"""What compiled backends share: `torch.library` ops, codes of windows and kernels, the way from a call to its op."""
