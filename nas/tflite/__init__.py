"""`.tflite` files: read, edited, run on LiteRT's interpreter, and listed as operations."""
