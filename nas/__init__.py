"""The machine of portable-nas: everything that is not a search space, an evaluator or a study.

Importing this package is cheap: neither TensorFlow nor Ray is loaded before it is needed.
"""

__version__ = "0.1.0"
