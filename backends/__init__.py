"""How pixel-adaptive convolution is computed: one folder a backend, found through the entry points of the package."""
