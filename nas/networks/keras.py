"""Keras as this project means it: what a user's `~/.keras/keras.json` says does not count.

Such a file, left by another project or by Keras 3, would give the networks another type, another
order of axes or another epsilon, and so other figures. The one module that imports Keras itself.
"""

import tf_keras as keras

__all__ = ["keras"]

keras.backend.set_floatx("float32")
keras.backend.set_epsilon(1e-7)
keras.backend.set_image_data_format("channels_last")
