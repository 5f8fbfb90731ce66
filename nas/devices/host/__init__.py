"""This machine as a device: fresh processes that time one `.tflite` each."""
