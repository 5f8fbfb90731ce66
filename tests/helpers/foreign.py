"""Small networks in the forms that other people's exporters write, converted at any size."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np


def random_kernel(*shape: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


def convolved(x: Any, channels: int, side: int = 3, stride: int = 1, padding: Any = "SAME") -> Any:
    import tensorflow as tf

    kernel = random_kernel(side, side, x.shape[-1], channels, seed=channels + side)
    return tf.nn.conv2d(x, kernel, stride, padding)


def torch_pad(x: Any) -> Any:
    """A convolution of stride 2 with its padding apart, and back up."""
    import tensorflow as tf

    y = tf.pad(convolved(x, 8), [[0, 0], [1, 1], [1, 1], [0, 0]])
    y = tf.nn.relu(convolved(y, 8, 3, 2, "VALID"))
    return convolved(tf.image.resize(y, x.shape[1:3]), 3)


def mirror_pad(x: Any) -> Any:
    import tensorflow as tf

    return convolved(tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]], "REFLECT"), 3, 7, 1, "VALID")


def padv2(x: Any) -> Any:
    import tensorflow as tf

    y = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=0.5)
    return convolved(y, 3, 3, 1, "VALID")


def cropped(x: Any) -> Any:
    """Padded widely, and its border cut off by both ends."""
    import tensorflow as tf

    y = convolved(tf.pad(x, [[0, 0], [4, 4], [4, 4], [0, 0]]), 3)
    return y[:, 4:-4, 4:-4, :]


def sliced(x: Any) -> Any:
    import tensorflow as tf

    y = convolved(tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]]), 3)
    return tf.slice(y, [0, 2, 2, 0], [1, x.shape[1], x.shape[2], 3])


def focus(x: Any) -> Any:
    """Every second pixel, four times, and depth to space."""
    import tensorflow as tf

    parts = [x[:, a::2, b::2, :] for a in (0, 1) for b in (0, 1)]
    return tf.nn.depth_to_space(convolved(tf.concat(parts, -1), 12), 2)


def squeeze_excite(x: Any) -> Any:
    import tensorflow as tf

    y = convolved(x, 8)
    gate = tf.sigmoid(convolved(tf.reduce_mean(y, (1, 2), keepdims=True), 8, 1))
    return convolved(y * gate, 3)


def pooled_excite(x: Any) -> Any:
    """The mean by a pooling of all pixels, as older exporters write it."""
    import tensorflow as tf

    y = convolved(x, 8)
    gate = tf.sigmoid(convolved(tf.nn.avg_pool2d(y, x.shape[1:3], 1, "VALID"), 8, 1))
    return convolved(y * gate, 3)


def dense_excite(x: Any) -> Any:
    import tensorflow as tf

    y = convolved(x, 8)
    gate = tf.matmul(tf.reduce_mean(y, (1, 2)), random_kernel(8, 8))
    return convolved(y * tf.reshape(tf.sigmoid(gate), (1, 1, 1, 8)), 3)


def noise_map(x: Any, noise: Any) -> Any:
    import tensorflow as tf

    return convolved(tf.concat([x, noise], -1), 3)


def noise_level(x: Any, level: Any) -> Any:
    import tensorflow as tf

    return convolved(tf.concat([x, tf.broadcast_to(level, (1, *x.shape[1:3], 1))], -1), 3)


def noise_product(x: Any, level: Any) -> Any:
    """The level times a map of ones, as PyTorch's `expand` is written."""
    import tensorflow as tf

    ones = tf.constant(np.ones((1, *x.shape[1:3], 1), np.float32))
    return convolved(tf.concat([x, level * ones], -1), 3)


def noise_tiled(x: Any, level: Any) -> Any:
    import tensorflow as tf

    return convolved(tf.concat([x, tf.tile(level, (1, *x.shape[1:3], 1))], -1), 3)


def half_size_state(x: Any, state: Any) -> Any:
    import tensorflow as tf

    y = convolved(convolved(x, 4, 3, 2) + state, 12)
    return tf.nn.depth_to_space(y, 2)


def video(x: Any) -> Any:
    """Frames merged with the batch, (1, 3, height, width, 3)."""
    import tensorflow as tf

    _, frames, height, width, channels = x.shape
    y = convolved(tf.reshape(x, (frames, height, width, channels)), channels)
    return tf.reshape(y, (1, frames, height, width, channels))


def conv_3d(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.conv3d(x, random_kernel(3, 3, 3, 3, 3), (1, 1, 1, 1, 1), "SAME")


def frames_apart(x: Any) -> Any:
    import tensorflow as tf

    return tf.add_n([convolved(frame, 3) for frame in tf.unstack(x, axis=1)])


def channels_first(x: Any) -> Any:
    import tensorflow as tf

    y = convolved(tf.transpose(x, (0, 2, 3, 1)), 3)
    return tf.transpose(y, (0, 3, 1, 2))


def attention(x: Any) -> Any:
    """Channel attention on pixels in a row, as Restormer's."""
    import tensorflow as tf

    _, height, width, _ = x.shape
    y = tf.reshape(convolved(x, 8), (1, height * width, 8))
    weights = tf.nn.softmax(tf.matmul(y, y, transpose_a=True))
    return convolved(tf.reshape(tf.matmul(y, weights), (1, height, width, 8)), 3)


def windows(x: Any) -> Any:
    """Blocks of 8x8 pixels, each attending to itself, as Swin's."""
    import tensorflow as tf

    _, h, w, _ = x.shape
    y = tf.reshape(convolved(x, 4), (1, h // 8, 8, w // 8, 8, 4))
    y = tf.reshape(tf.transpose(y, (0, 1, 3, 2, 4, 5)), (h * w // 64, 64, 4))
    y = tf.matmul(tf.nn.softmax(tf.matmul(y, y, transpose_b=True)), y)
    y = tf.transpose(tf.reshape(y, (1, h // 8, w // 8, 8, 8, 4)), (0, 1, 3, 2, 4, 5))
    return convolved(tf.reshape(y, (1, h, w, 4)), 3)


def rolled(x: Any) -> Any:
    """Shifted by four pixels, as Swin's windows are."""
    import tensorflow as tf

    return convolved(tf.roll(convolved(x, 4), (-4, -4), (1, 2)), 3)


def simple_gate(x: Any) -> Any:
    import tensorflow as tf

    one, other = tf.split(convolved(x, 8), 2, -1)
    return convolved(one * other, 3)


def halves(x: Any) -> Any:
    import tensorflow as tf

    upper, lower = tf.split(convolved(x, 4), 2, 1)
    return tf.concat([convolved(lower, 3), convolved(upper, 3)], 1)


def transposed(x: Any) -> Any:
    import tensorflow as tf

    shape = (1, *x.shape[1:3], 3)
    return tf.nn.conv2d_transpose(convolved(x, 8, 3, 2), random_kernel(2, 2, 3, 8), shape, 2)


def dilated(x: Any) -> Any:
    import tensorflow as tf

    y = tf.space_to_batch(x, (2, 2), ((2, 2), (2, 2)))
    return tf.batch_to_space(convolved(y, 3, 3, 1, "VALID"), (2, 2), ((0, 0), (0, 0)))


def global_context(x: Any) -> Any:
    import tensorflow as tf

    mean = tf.reduce_mean(convolved(x, 4), (1, 2), keepdims=True)
    wide = tf.image.resize(convolved(mean, 4, 1), x.shape[1:3], "nearest")
    return convolved(tf.concat([x, wide], -1), 3)


def times_four(x: Any) -> Any:
    import tensorflow as tf

    side = [4 * side for side in x.shape[1:3]]
    return tf.nn.depth_to_space(convolved(x, 48), 4) + tf.image.resize(x, side)


def even_constant(x: Any) -> Any:
    """A constant as large as the picture that is the same everywhere."""
    import tensorflow as tf

    offset = tf.constant(np.broadcast_to([0.1, 0.2, 0.3], x.shape).astype(np.float32))
    return convolved(x - offset, 3)


def position_table(x: Any) -> Any:
    return convolved(x + random_kernel(*x.shape[1:]), 3)


def classifier(x: Any) -> Any:
    import tensorflow as tf

    y = convolved(x, 2, 3, 4)
    flat = int(np.prod(y.shape[1:]))
    return tf.matmul(tf.reshape(y, (1, flat)), random_kernel(flat, 5))


def whole_window(x: Any) -> Any:
    return convolved(convolved(x, 4, 3, 8), 5, 4, 1, "VALID")


def wide_crop(x: Any) -> Any:
    """A quarter is cut off: so many pixels, or so large a part?"""
    return convolved(x[:, 8:, :, :], 3)


def thumbnail(x: Any) -> Any:
    """A size of its own inside: 20x44, whatever comes."""
    import tensorflow as tf

    return convolved(tf.image.resize(x, (20, 44)), 3)


@cache
def converted(
    network: Callable[..., Any], *shapes: tuple[int | None, ...], float16: bool = False
) -> bytes:
    """The network's `.tflite` for inputs of the shapes, None where a side is open."""
    import tensorflow as tf

    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    function = tf.function(network).get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def outputs(content: bytes, seed: int = 0) -> list[Any]:
    """What LiteRT makes of noise, the largest input first."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(seed)
    details = sorted(interpreter.get_input_details(), key=lambda row: -np.prod(row["shape"]))
    for row in details:
        interpreter.set_tensor(row["index"], rng.random(row["shape"], np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(row["index"]) for row in interpreter.get_output_details()]
