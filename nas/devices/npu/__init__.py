"""Snapdragon NPUs without a phone: Qualcomm's compiler and simulator, from packages of the index.

Needs the extra `npu` (docs/npu.md); `requirements` tells what of it is missing. Nothing in here is
imported before a device `npu:CHIP` is used.
"""
