"""Loaded once by the fork server, so that every worker process starts with TensorFlow in memory.

Importing TensorFlow is safe before a fork; running one of its operations is not, and nothing here
does.
"""

from nas.training.tensorflow import quiet_tensorflow

quiet_tensorflow()

import nas.compression.convert  # noqa: E402
import nas.training.train  # noqa: E402, F401
