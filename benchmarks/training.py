"""Training steps a CPU second against a bare `tf.function` loop of the same network: at least 0.95.

    python -m benchmarks.training [ROUNDS]

"Ours" is what a trial runs: patches read from the memory-mapped pack, the schedule, the machine's
lock, progress, checkpoints. "Bare" is the same network, loss and optimizer on one batch that stays
in memory. Both take turns, so that a machine whose speed drifts treats them alike; the clock is the
process's CPU time, which the work of others disturbs least.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.verdict import undisturbed
from nas.system.environment import processor, versions
from nas.training.tensorflow import prepare_tensorflow

STEPS = 25


def main(rounds: int = 15) -> None:
    prepare_tensorflow(threads=1)
    from nas.data import open_dataset
    from nas.training.schedule import Schedule
    from search_spaces import UNet

    schedule = Schedule(
        steps=10**9, batch=8, patch=64, learning_rate=1e-3, clip_norm=0.1, checkpoint_seconds=1e9
    )
    network = UNet("resize-bilinear", "relu", (8, 16, 32), 2, 3, True)
    pack = open_dataset("photos").prepare(schedule.patch)
    with tempfile.TemporaryDirectory() as folder:
        ours = _ours(network, pack, schedule, Path(folder))
        bare = _bare(network, pack, schedule)
        ratios = []
        for _ in range(rounds):
            a, b = ours(), bare()
            ratios.append(b / a)
            print(f"ours {STEPS / a:6.1f} steps/s   bare {STEPS / b:6.1f} steps/s   {b / a:.3f}")
    print(f"ratio, median of {rounds}: {sorted(ratios)[rounds // 2]:.3f} (goal: at least 0.95)")
    print(f"{network.label}, batch 8 of 64x64, one thread; {processor()}; {versions()}")


def _ours(network, pack, schedule, folder):
    from nas.system.host_lock import working
    from nas.training.train import SLICE_SECONDS, TrainingRun, untrained

    model = untrained(network.graph(), schedule, 0)
    run = TrainingRun.start(model, schedule, folder / "checkpoint.npz")
    run.advance(pack, 0, 0.5)

    def measure() -> float:
        end, started = run.step + STEPS, time.process_time()
        while run.step < end:
            with working():
                run.advance(pack, 0, SLICE_SECONDS, until=end)
        return time.process_time() - started

    return measure


def _bare(network, pack, schedule):
    import tensorflow as tf
    import tf_keras as keras

    from nas.networks.keras_model import build_model

    model = build_model(network.graph())
    optimizer = keras.optimizers.legacy.Adam(1e-3)
    blurred, sharp = (tf.constant(part) for part in pack.batch(0, 8, 64, 0))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            output = model(tf.cast(blurred, tf.float32) / 255.0, training=True)
            loss = tf.reduce_mean(tf.abs(output - tf.cast(sharp, tf.float32) / 255.0))
        gradients = tape.gradient(loss, model.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, schedule.clip_norm)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    step()

    def measure() -> float:
        started = time.process_time()
        for _ in range(STEPS):
            step()
        return time.process_time() - started

    return measure


if __name__ == "__main__":
    with undisturbed("benchmarks.training"):
        main(*map(int, sys.argv[1:]))
