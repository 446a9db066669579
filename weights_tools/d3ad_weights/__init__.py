"""Weights for d3ad: converting, fetching, and reference files from PyTorch modules."""
