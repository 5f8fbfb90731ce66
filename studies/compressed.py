"""Compression as part of the search: up-sampling, activation, widths, pruned share, precision.

    nas search compressed --trials 24 --out runs/compressed

A quarter of an hour on two cores: all four precisions and four pruned shares of small U-Nets, on
the quickstart's photographs. The pictures are small because int16 is slow on a desktop processor
(it has no fast kernels there): its latency says nothing about a phone's accelerator.
"""

from evaluators import Cost, FileSize, Latency, Quality
from nas.devices import TimingProtocol
from nas.networks.candidate import PRECISIONS
from nas.study.study import Study
from nas.training.schedule import short_schedule
from search_spaces import CompressionSpace, UNetSpace

STUDY = Study(
    name="compressed",
    description="Small U-Nets, pruned by up to half of their MACs, in four precisions.",
    space=UNetSpace(
        levels=(3,),
        widths=(12, 16, 24),
        convolutions=(1, 2),
        first_kernel=(3, 5),
        global_residual=(True,),
    ),
    compression=CompressionSpace(precision=PRECISIONS, pruned_share=(0.0, 0.1, 0.3, 0.5)),
    schedule=short_schedule(300),
    evaluators=(
        Cost(),
        Latency(TimingProtocol(launches=5, warmup=1, runs=3, threads=1)),
        FileSize(),
        Quality(),
    ),
    data="photos",
    size=(256, 144),
    trials=24,
    startup_trials=16,
)
