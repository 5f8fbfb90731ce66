"""The search that the paper's conclusion asks for, over its three phones.

    nas search portable

A minute, without a phone: latencies come from models fitted to the paper's published cells, PSNR
from the curve that its U-Nets lie on. Nothing is measured, and every figure says so. What the
search finds is a list of networks worth training and measuring; `portable-trained` trains them.

The space holds every factor of a device that the paper varied by hand: the up-sampling operation,
the activation, the widths, the pruned share and the precision (not 16-bit, for which the paper has
cells of one phone alone). Beside them stands what the paper's footnotes ask for, which name the
operations that fall back: skips that are added, as EDSR and SGN add on all three phones, and
convolutions with a stride. What they cost in PSNR was measured (docs/replacements.md). Stems and
other blocks are left out: no published cell and no curve says what they do there.

The objectives are PSNR and portability: the worst, over the phones, of a network's latency to that
of the network which the paper ends up with. A network below 1 beats that one on every phone.
"""

from dataclasses import replace

from evaluators import Cost, FileSize, ModelledLatency, ModelledQuality, Quality
from nas.networks.candidate import Candidate, Compression
from nas.study.study import Study
from nas.training.schedule import PAPER, short_schedule
from search_spaces import CompressionSpace, UNet, UNetSpace
from search_spaces.unet_axes import ACTIVATIONS, SKIPS, UPSAMPLINGS

PHONES = ("paper:mate30-pro-5g", "paper:reno3-5g", "paper:pixel-4")
CHOSEN = Candidate(UNet("resize-bilinear", "prelu"))
BY_HAND = (
    CHOSEN,
    *(Candidate(UNet(up, act)) for up in UPSAMPLINGS for act in ACTIVATIONS),
    *(Candidate(CHOSEN.architecture, Compression(p)) for p in ("int8-ptq", "int8-qat")),
    *(Candidate(CHOSEN.architecture, Compression("float", s)) for s in (0.05, 0.1, 0.2, 0.3, 0.5)),
    Candidate(CHOSEN.architecture, Compression("int8-qat", 0.05)),
)

AS_THE_PAPER = UNetSpace(
    levels=(5,),
    widths=(24, 32, 48, 64, 96, 128, 144, 160, 192),
    convolutions=(4,),
    first_kernel=(7,),
    global_residual=(False,),
)
"""What the paper varied by hand."""

STUDY = Study(
    name="portable",
    description="U-Nets for the paper's three phones, modelled from its tables; a minute.",
    space=replace(AS_THE_PAPER, skip=SKIPS, downsampling=("max-pool", "strided-conv")),
    compression=CompressionSpace(
        precision=("float", "int8-ptq", "int8-qat"),
        pruned_share=(0.0, 0.05, 0.1, 0.2, 0.3, 0.5),
    ),
    schedule=short_schedule(600),
    evaluators=(Cost(), ModelledQuality(), ModelledLatency(reference=CHOSEN)),
    objectives=("psnr_db", "worst_latency_ratio"),
    constraints=("macs_ratio>=0.45",),  # where the published rows of PSNR begin
    devices=PHONES,
    reference=CHOSEN,
    baselines=tuple(dict.fromkeys(BY_HAND)),
    trials=200,
    startup_trials=20,
)

TRANSPOSED, REMEDY = (Candidate(UNet(up, "relu")) for up in ("transpose-conv", "resize-bilinear"))
"""The paper's story: 54.2 s on a Mate30 Pro 5G with the first, 1.2 s with the second."""

DEMO = replace(
    STUDY,
    name="demo",
    description="The paper's own space, shorter; its slowest network comes first.",
    space=AS_THE_PAPER,
    baselines=tuple(dict.fromkeys((TRANSPOSED, REMEDY, *BY_HAND))),
    trials=60,
)

TRAINED = replace(
    STUDY,
    name="portable-trained",
    description="The same space, trained: PSNR measured, phones modelled; days, --data reds:PATH.",
    schedule=replace(PAPER, steps=20_000),
    constraints=(),
    evaluators=(Cost(), ModelledLatency(reference=CHOSEN), Quality(), FileSize()),
    trials=40,
)
