"""One elastic U-Net for a whole space: trained once, every candidate is a slice of its weights.

`elastic` and `agreement` load no TensorFlow; the other modules do.
"""
