"""The demonstration: small U-Nets that undo one known camera shake.

    nas search quickstart

Minutes on two cores, without a phone, a GPU or a download. It shows how candidates are trained,
converted, scored and timed, on real photographs, and how the sampler learns: ten candidates are
drawn at random, fourteen for what was learned from those before. The report marks where that
begins. A task this easy says nothing about which network deblurs best in general.

With the extra `npu`, `--device npu:sm8650` gives the same search the NPU of a Galaxy S24 in place
of this machine: its compiler judges each network, and nothing is timed here.
"""

from evaluators import Cost, FileSize, Latency, Quality
from nas.devices import TimingProtocol
from nas.study.study import Study
from nas.training.schedule import short_schedule
from search_spaces import CompressionSpace, UNetSpace

STUDY = Study(
    name="quickstart",
    description="Small U-Nets undo one known camera shake on photographs; minutes on two cores.",
    space=UNetSpace(
        levels=(2, 3),
        widths=(8, 12, 16, 24, 32),
        convolutions=(1, 2),
        first_kernel=(3, 5, 7),
        global_residual=(True,),
    ),
    compression=CompressionSpace(precision=("float", "int8-ptq")),
    schedule=short_schedule(600),
    evaluators=(
        Cost(),
        Latency(TimingProtocol(launches=5, warmup=1, runs=3, threads=1)),
        Quality(),
        FileSize(),
    ),
    data="photos",
    size=(640, 360),
    trials=24,
    # The first ten are drawn by the seed alone, the same on every machine. What is drawn from the
    # eleventh on depends on latencies, and so on the machine.
    startup_trials=10,
)
