"""The recipe `torch-classifier`: trains a small network on a table or on small images."""
