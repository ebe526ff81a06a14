"""Data for training: where clips come from, how they are split, sampled and prepared."""
