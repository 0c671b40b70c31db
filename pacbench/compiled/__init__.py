"""What compiled backends share: `torch.library` ops, the coding of windows and kernels, the way from a call to its op."""
