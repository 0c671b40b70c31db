"""What compiled backends share: their `torch.library` ops, the coding of windows and kernels, and the way from call to op."""
