"""The Triton kernels, one job a file. Importing any of them imports triton, so `computing.py` does so when first used."""
