"""One network for the phones of 2020 and for four Snapdragon NPUs.

    nas search portable-today
    nas search portable-today-trained

Needs the extra `npu` (docs/npu.md). Every candidate is converted to int8 at 1280x720, compiled for
each NPU, looked up in the models of the paper's phones, and trained for a minute or two: half an
hour on two cores. Latencies are modelled, none is measured; PSNR is measured, on photographs
blurred by one known shake, after so short a training that it only tells what is worth training
longer.

The space holds what either kind of device asks for: skips that are added (nothing falls back on the
Pixel 4 or the Mate30), widths that 32 divides (others cost an NPU twice the time), a stem that
halves the resolution, strided convolutions, blocks with residuals. The objectives are PSNR and
portability: the worst, over all seven devices, of a network's latency to that of the network which
the paper ends up with, in int8. LiteRT's GPU has no latency here and can't be an objective:
`nas measure FILE --device gpu` tells which operations of an exported file it takes.

`portable-today-trained` trains the best of what it found, and both networks by hand, longer and all
alike: docs/results.md. The paper's own network is there as float, too, since int8 fails there.
"""

from dataclasses import replace

from evaluators import Cost, FileSize, Latency, Quality
from nas.devices import TimingProtocol
from nas.networks.candidate import Candidate, Compression
from nas.study.study import Study
from nas.training.schedule import short_schedule
from search_spaces import CompressionSpace, UNet, UNetSpace
from search_spaces.unet_axes import SKIPS, UPSAMPLINGS
from studies import snapdragon
from studies.portable import CHOSEN, PHONES

INT8 = Compression("int8-ptq")
BY_HAND = UNet("resize-bilinear", "prelu", (32, 64, 128), 2, 3, True)
"""The paper's choices on three levels, to compare with."""

SPACE = UNetSpace(
    upsampling=UPSAMPLINGS,
    activation=("relu", "prelu", "relu6"),
    levels=(2, 3),
    widths=(32, 64, 128),
    convolutions=(2,),
    first_kernel=(3,),
    global_residual=(True,),
    skip=SKIPS,
    downsampling=("max-pool", "strided-conv"),
    stem=(1, 2),
    block=("plain", "residual", "branched"),
    width_multiple=32,
)

STUDY = Study(
    name="portable-today",
    description="One int8 network for three phones of 2020 and four Snapdragon NPUs; half an hour.",
    space=SPACE,
    compression=CompressionSpace(precision=("int8-ptq",)),
    schedule=short_schedule(600),
    evaluators=(
        Cost(),
        Latency(TimingProtocol(launches=1, warmup=0, runs=1, threads=1)),
        Quality(),
        FileSize(),
    ),
    objectives=("psnr_db", "worst_latency_ratio"),
    constraints=("gmacs_conv<=110",),  # what trains within two minutes
    devices=(*PHONES, *snapdragon.PHONES),
    reference=Candidate(CHOSEN.architecture, INT8),
    baselines=(Candidate(BY_HAND, INT8),),
    data="photos",
    size=(1280, 720),
    trials=32,
    startup_trials=10,
    replicates=2,
)

_ADDED = replace(
    BY_HAND,
    activation="relu",
    widths=(32, 64, 32),
    skip="addition",
    downsampling="strided-conv",
    block="residual",
)
FOUND = (
    _ADDED,
    replace(_ADDED, activation="relu6", widths=(32, 64)),
    replace(_ADDED, upsampling="depth-to-space", skip="concatenation"),
)
"""What a search of 32 trials found: two of its front, and the fastest on the Mate30 of 32 dB."""

TRAINED = replace(
    STUDY,
    name="portable-today-trained",
    description="What portable-today found beside the paper's network, trained longer; two hours.",
    space=replace(
        SPACE,
        levels=(2, 3, 5),
        convolutions=(2, 4),
        first_kernel=(3, 7),
        global_residual=(False, True),
        stem=(1,),  # five levels behind a stem do not divide 720 rows
    ),
    schedule=replace(short_schedule(5000), patch=64, learning_rate=1e-3),
    sampler="random",
    constraints=(),
    compression=CompressionSpace(precision=("int8-ptq", "float")),
    baselines=(
        *(Candidate(one, INT8) for one in (CHOSEN.architecture, BY_HAND, *FOUND)),
        CHOSEN,  # float, by the weights that are there then
    ),
    trials=6,
    replicates=0,
)
