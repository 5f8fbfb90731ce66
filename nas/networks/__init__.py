"""Networks as values: layers, graphs, candidates, and the Keras models built from them."""
