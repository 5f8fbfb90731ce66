"""The paper's own search, step by step: `nas paper`.

Chiang et al., "Deploying Image Deblurring across Mobile Devices" (CVPRW 2020), section 3 and 4:

1. six networks of about 250 GMAC at 1280x720; the sharpest goes on
2. its up-sampling and its activation, three times two
3. the chosen one with 5 to 50 % of its MACs pruned
4. the chosen one in three quantizations, and in two with 5 % pruned

The paper publishes MACs, not widths: `PAPER_NETWORKS` are reconstructions.
"""

from dataclasses import replace

from evaluators import Cost, FileSize, Latency, Quality
from nas.devices import TimingProtocol
from nas.networks.candidate import Candidate, Compression
from nas.paper import NetworkList, PaperScale, PaperStep
from nas.paper.steps import Networks, all_networks
from nas.study.study import Study
from nas.training.schedule import PAPER, Schedule, short_schedule
from search_spaces import ARCHITECTURES, DBPN, EDSR, FPN, RDN, SGN, CompressionSpace, UNet
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS

QUALITY = ("unet-transposeconv-relu", "edsr", "rdn", "dbpn", "fpn", "sgn")
CHOSEN = "unet-resizebilinear-prelu"
PRUNED_SHARES = (0.05, 0.10, 0.20, 0.30, 0.50)
QUANTIZATIONS = (
    Compression("int8-ptq"),
    Compression("int8-qat"),
    Compression("int16-ptq"),
    Compression("int8-qat", 0.05),
    Compression("int16-ptq", 0.05),
)


def variants(network: UNet) -> dict[str, UNet]:
    """Return the U-Net with every up-sampling and activation."""
    return {
        f"unet-{up.replace('-', '')}-{act}": replace(network, upsampling=up, activation=act)
        for up in UPSAMPLINGS
        for act in ACTIVATIONS
    }


def steps(networks: Networks, unets: Networks) -> tuple[PaperStep, ...]:
    """Return the four steps over the six networks and the U-Net's variants."""
    return (
        PaperStep(1, "Networks", networks, choice="unet-transposeconv-relu"),
        PaperStep(2, "Up-sampling and activation", unets, choice=CHOSEN),
        PaperStep(
            3, "Pruning", compressions=tuple(Compression(pruned_share=s) for s in PRUNED_SHARES)
        ),
        PaperStep(4, "Quantization", compressions=QUANTIZATIONS),
    )


PAPER_NETWORKS = {name: ARCHITECTURES[name] for name in QUALITY}
PAPER_UNETS = {name: ARCHITECTURES[name] for name in variants(UNet())}

# With a global residual, which the paper's has not: without one, minutes of training leave a U-Net
# below the blurred pictures or, where it starts near the identity, far from its integers.
SMALL_UNET = UNet("transpose-conv", "relu", (12, 16, 24, 24), 2, 7, global_residual=True)
SMALL_NETWORKS: Networks = {
    "unet-transposeconv-relu": SMALL_UNET,
    "edsr": EDSR(width=12, blocks=3),
    "rdn": RDN(width=12, growth=6, convolutions=3, blocks=2),
    "dbpn": DBPN(features=16, width=8, stages=3),
    "fpn": FPN(stem=8, blocks35=1, blocks17=1, pyramid=16, head=16),
    "sgn": SGN(width=8, levels=3, convolutions=4),
}


def scale_study(
    name: str, the_steps: tuple[PaperStep, ...], schedule: Schedule, **values: object
) -> Study:
    """Return the fixed study of one scale: nothing is drawn, each step hands its candidates in."""
    return Study(
        name=f"paper-{name}",
        description="The manual search of Chiang et al. 2020, step by step.",
        replicates=0,  # its steps are a fixed list, of a known length
        space=NetworkList(all_networks(the_steps)),
        compression=CompressionSpace(
            ("float", "int8-ptq", "int8-qat", "int16-ptq"), (0.0, *PRUNED_SHARES)
        ),
        schedule=schedule,
        baselines=(
            *(Candidate(network) for network in the_steps[0].networks.values()),
            Candidate(the_steps[1].networks[CHOSEN]),
        ),
        trials=21,
        **values,  # type: ignore[arg-type]
    )


FULL = steps(PAPER_NETWORKS, PAPER_UNETS)
SMALL = steps(SMALL_NETWORKS, variants(SMALL_UNET))

SMOKE = PaperScale(
    name="smoke",
    says="narrowed networks, 500 steps on 2 patches of 80x80, 320x192",
    study=scale_study(
        "smoke",
        SMALL,
        replace(short_schedule(500), batch=2, patch=80),
        evaluators=(
            Cost(),
            Latency(TimingProtocol(launches=3, warmup=1, runs=3, threads=1)),
            Quality(),
            FileSize(),
        ),
        data="photos",
        size=(320, 192),
    ),
    steps=SMALL,
    narrowed=True,
)

_FULL_SIZE = (
    Cost(),
    Latency(TimingProtocol(launches=3, warmup=1, runs=1, threads=2, timeout_seconds=1800)),
    Quality(threads=2),
    FileSize(),
)
SHORT = PaperScale(
    name="short",
    says="the full networks, 5,000 steps on 4 patches of 96x96, 1280x720",
    study=scale_study(
        "short",
        FULL,
        Schedule(
            steps=5000,
            batch=4,
            patch=96,
            learning_rate=5e-4,
            warmup_steps=200,
            decay="cosine",
            clip_norm=0.5,
            threads=2,
        ),
        evaluators=_FULL_SIZE,
        data="photos",
        size=(1280, 720),
    ),
    steps=FULL,
    narrowed=False,
)
WHOLE = PaperScale(
    name="paper",
    says="the paper's recipe: the full networks, 1,000,000 steps on 16 patches of 256x256 of REDS",
    study=scale_study("paper", FULL, PAPER, evaluators=_FULL_SIZE, data="reds", size=(1280, 720)),
    steps=FULL,
    narrowed=False,
    needs_data="reds",
    needs_pairs=(24_000, 300),
)
SCALES = {scale.name: scale for scale in (SMOKE, SHORT, WHOLE)}
