"""An emulated phone: an adbd on a TCP port that the real adb server lists as a device.

Everything it measures is synthetic, and is labelled so. Start one by hand with `python -m
tests.emulated_phone`; in tests take `tests.emulated_phone.phone.EmulatedPhone`. This file imports
nothing: the stand-in benchmark tool starts once a launch and has to be quick.
"""
