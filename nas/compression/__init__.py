"""From a trained network to the file that ships: pruned, quantized, converted and verified."""
