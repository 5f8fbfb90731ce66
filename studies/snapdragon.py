"""One network for the NPUs of four generations of Galaxy phones, without a phone.

    pip install 'portable-nas[npu]'
    nas search snapdragon

An hour on two cores. U-Nets in float, int8 and int16 take pictures of 1280x720; each is placed and
compiled by Qualcomm's compiler for the chips of Galaxy S22, S24, S25 and S26, and its latency there
is modelled from the vendor's simulator (docs/npu.md). Nothing is measured on a phone. PSNR is
measured here, after a training of seconds on one known camera shake: it ranks these networks on
this easy task and says nothing of deblurring at large.

The objectives are PSNR and the worst, over the chips, of a network's latency to that of the
paper's network in int8. A network below 1 is faster than that one on every chip.
"""

from evaluators import Cost, FileSize, Latency, Quality
from nas.devices import TimingProtocol
from nas.networks.candidate import Candidate, Compression
from nas.study.study import Study
from nas.training.schedule import short_schedule
from search_spaces import CompressionSpace, UNet, UNetSpace

PHONES = ("npu:sm8450", "npu:sm8650", "npu:sm8750", "npu:sm8850")
CHOSEN = Candidate(UNet("resize-bilinear", "prelu"), Compression("int8-ptq"))

STUDY = Study(
    name="snapdragon",
    description="U-Nets at 1280x720 for the NPUs of four Galaxy phones, simulated; an hour.",
    space=UNetSpace(
        activation=("relu", "prelu"),
        levels=(2, 3, 4),
        widths=(8, 16, 24, 32, 48, 64),
        convolutions=(1, 2),
        first_kernel=(3, 5),
        global_residual=(True,),
    ),
    compression=CompressionSpace(precision=("float", "int8-ptq", "int16-ptq")),
    schedule=short_schedule(400),
    evaluators=(Cost(), Latency(TimingProtocol()), Quality(), FileSize()),
    objectives=("psnr_db", "worst_latency_ratio"),
    constraints=("gmacs_conv<=60",),  # what trains within a minute or two
    devices=PHONES,
    reference=CHOSEN,
    data="photos",
    size=(1280, 720),
    trials=30,
    startup_trials=10,
    replicates=0,
)
