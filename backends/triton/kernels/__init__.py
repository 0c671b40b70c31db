"""The Triton kernels, one job a file. Importing any of them imports triton: `launching.py` does so when first used."""
