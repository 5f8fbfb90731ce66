"""LiteRT's GPU without a GPU: its real compiler and shaders, on a Vulkan driver in software.

`gpu` computes in fp16, LiteRT's default on phones, `gpu:fp32` in fp32. It tells where operations
run and what they compute. It has no latency: the processor of this machine does the work.
"""
