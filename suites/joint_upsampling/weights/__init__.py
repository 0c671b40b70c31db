"""Weights of networks that learnt on the embedded scenes; README.md says how they were made."""
