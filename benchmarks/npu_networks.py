"""Networks whose latencies on Snapdragon NPUs are published, rebuilt with random weights.

    python -m benchmarks.npu_networks OUT [NAME ...]

writes NAME-float.tflite and NAME-int8.tflite. Latency belongs to the structure, so no weights are
needed. Definitions follow the papers and the published exports: SESR-M5 with its linear blocks
*not* collapsed, NAFNet-width64 as for REDS at 640x360 but with global instead of local pooling.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

layers = keras.layers
SIDE = 128


def conv(x: Any, channels: int, kernel: int = 3, **options: Any) -> Any:
    return layers.Conv2D(channels, kernel, padding="same", **options)(x)


def function(operation: Callable[[Any], Any], x: Any) -> Any:
    return layers.Lambda(operation)(x)


def unit_range(x: Any) -> Any:
    return function(lambda t: tf.clip_by_value(t, 0.0, 1.0), x)


def shuffled(x: Any, factor: int) -> Any:
    return function(lambda t: tf.nn.depth_to_space(t, factor), x)


def nearest(x: Any, factor: int) -> Any:
    resize = tf.compat.v1.image.resize_nearest_neighbor
    return function(lambda t: resize(t, (factor * t.shape[1], factor * t.shape[2])), x)


def picture(height: int = SIDE, width: int = SIDE) -> Any:
    return layers.Input((height, width, 3), 1)


def quicksrnet(channels: int, depth: int, skip: bool) -> keras.Model:
    start = x = picture()
    for _ in range(depth + 1):
        x = unit_range(conv(x, channels))
    x = conv(x, 48)
    x = layers.Add()([x, conv(start, 48, 1)]) if skip else x
    return keras.Model(start, shuffled(unit_range(x), 4))


def xlsr() -> keras.Model:
    start = picture()
    x = conv(conv(start, 32, activation="relu"), 32, 1)
    for _ in range(3):
        x = conv(conv(x, 32, groups=4, activation="relu"), 32, 1)
    x = layers.Concatenate()([x, conv(start, 16)])
    x = conv(conv(x, 32, 1, activation="relu"), 48)
    return keras.Model(start, unit_range(shuffled(x, 4)))


def sesr_m5() -> keras.Model:
    def linear(x: Any, channels: int, kernel: int) -> Any:
        return conv(conv(x, 256, kernel), channels, 1)

    start = picture()
    first = x = layers.ReLU()(linear(start, 16, 5))
    for _ in range(5):
        x = layers.ReLU()(layers.Add()([x, linear(x, 16, 3)]))
    x = linear(layers.Add()([x, first]), 48, 5)
    return keras.Model(start, shuffled(layers.Add()([x, conv(start, 48, 1)]), 4))


def real_esrgan_general() -> keras.Model:
    """SRVGG: 33 convolutions of 64 channels with PReLU, x4, on top of the enlarged input."""
    start = x = picture()
    for _ in range(33):
        slopes = keras.initializers.Constant(0.1)
        x = layers.PReLU(shared_axes=[1, 2], alpha_initializer=slopes)(conv(x, 64))
    x = shuffled(conv(x, 48), 4)
    return keras.Model(start, layers.Add()([x, nearest(start, 4)]))


def unet_segmentation() -> keras.Model:
    """64 to 1,024 channels, transposed convolutions, 1280x640."""

    def double(x: Any, channels: int) -> Any:
        return conv(conv(x, channels, activation="relu"), channels, activation="relu")

    start = picture(640, 1280)
    x, skips = double(start, 64), []
    for channels in (128, 256, 512, 1024):
        skips.append(x)
        x = double(layers.MaxPool2D(2)(x), channels)
    for channels in (512, 256, 128, 64):
        up = layers.Conv2DTranspose(channels, 2, 2)(x)
        x = double(layers.Concatenate()([skips.pop(), up]), channels)
    return keras.Model(start, conv(x, 2, 1))


def rrdb() -> keras.Model:
    """ESRGAN's and Real-ESRGAN-x4plus' network: 23 residual-in-residual dense blocks, x4."""

    def leaky(x: Any) -> Any:
        return layers.LeakyReLU(0.2)(x)

    def scaled(x: Any) -> Any:
        return function(lambda t: 0.2 * t, x)

    def dense(x: Any) -> Any:
        made = [x]
        for _ in range(4):
            joined = made[0] if len(made) == 1 else layers.Concatenate()(made)
            made.append(leaky(conv(joined, 32)))
        return layers.Add()([scaled(conv(layers.Concatenate()(made), 64)), x])

    start = picture()
    first = x = conv(start, 64)
    for _ in range(23):
        x = layers.Add()([scaled(dense(dense(dense(x)))), x])
    x = layers.Add()([conv(x, 64), first])
    for _ in range(2):
        x = leaky(conv(nearest(x, 2), 64))
    return keras.Model(start, conv(leaky(conv(x, 64)), 3))


class ChannelNorm(layers.Layer):
    """Normalization over the channels of each pixel, with a learned scale and offset."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight("scale", (shape[-1],), initializer="ones")
        self.offset = self.add_weight("offset", (shape[-1],), initializer="zeros")

    def call(self, x: Any) -> Any:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        return self.scale * (centred / tf.sqrt(variance + 1e-6)) + self.offset


class ChannelScale(layers.Layer):
    def build(self, shape: Any) -> None:
        self.scale = self.add_weight("scale", (shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return self.scale * x


def nafnet(width: int = 64, height: int = 360, picture_width: int = 640) -> keras.Model:
    """One block a level, 28 at the deepest, which is 1/8 of the picture's side."""

    def gated(x: Any) -> Any:
        return function(lambda t: tf.multiply(*tf.split(t, 2, -1)), x)

    def block(x: Any) -> Any:
        channels = x.shape[-1]
        y = conv(ChannelNorm()(x), 2 * channels, 1)
        y = gated(layers.DepthwiseConv2D(3, padding="same")(y))
        mean = function(lambda t: tf.reduce_mean(t, [1, 2], keepdims=True), y)
        y = conv(layers.Multiply()([y, conv(mean, channels, 1)]), channels, 1)
        x = layers.Add()([x, ChannelScale()(y)])
        y = gated(conv(ChannelNorm()(x), 2 * channels, 1))
        return layers.Add()([x, ChannelScale()(conv(y, channels, 1))])

    start = picture(height, picture_width)
    below, right = -height % 16, -picture_width % 16
    padded = layers.ZeroPadding2D(((0, below), (0, right)))(start)
    x, skips = conv(padded, width), []
    for blocks in (1, 1, 1, 28):
        for _ in range(blocks):
            x = block(x)
        skips.append(x)
        x = layers.Conv2D(2 * x.shape[-1], 2, 2)(x)
    x = block(x)
    for _ in range(4):
        up = shuffled(conv(x, 2 * x.shape[-1], 1, use_bias=False), 2)
        x = block(layers.Add()([up, skips.pop()]))
    x = layers.Add()([conv(x, 3), padded])
    x = function(lambda t: t[:, :height, :picture_width], x)
    return keras.Model(start, x)


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "quicksrnetsmall": lambda: quicksrnet(32, 2, False),
    "quicksrnetmedium": lambda: quicksrnet(32, 5, False),
    "quicksrnetlarge": lambda: quicksrnet(64, 11, True),
    "xlsr": xlsr,
    "sesr_m5": sesr_m5,
    "real_esrgan_general_x4v3": real_esrgan_general,
    "unet_segmentation": unet_segmentation,
    "real_esrgan_x4plus": rrdb,
}
"""By the names under which their latencies are published."""
APART: dict[str, Callable[[], keras.Model]] = {"nafnet_deblur": nafnet}
"""Not part of the calibration: its normalization over channels is simulated twice as slow as it was
published, so the compiler must know it in another form."""


def converted(model: keras.Model, int8: bool) -> bytes:
    shape = (1, *model.inputs[0].shape[1:])
    concrete = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    if int8:
        random = np.random.default_rng(0)
        pictures = [random.random(shape, dtype=np.float32) for _ in range(2)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([one] for one in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    content: bytes = converter.convert()
    return content


def written(folder: Path, name: str, precision: str) -> Path:
    """The file of a network at "float" or "int8", made where it is not there."""
    path = folder / f"{name}-{precision}.tflite"
    if not path.exists():
        keras.utils.set_random_seed(0)
        path.write_bytes(converted((NETWORKS | APART)[name](), precision == "int8"))
    return path


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or NETWORKS:
        for precision in ("float", "int8"):
            path = written(folder, name, precision)
            print(path, path.stat().st_size, flush=True)


if __name__ == "__main__":
    main()
