"""Seedbook: an executable book about randomness in learning systems."""
