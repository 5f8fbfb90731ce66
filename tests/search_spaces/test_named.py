import json

import pytest

from nas.errors import ConfigError
from search_spaces import ARCHITECTURES, DBPN, EDSR, FPN, RDN, SGN, architecture_from_dict

# Conv and profiler GMAC at 1280x720, and the figure that the paper prints.
PAPER = {
    "edsr": (247.90, 248.57, 249),
    "rdn": (242.71, 243.30, 243),
    "dbpn": (241.41, 242.27, 242),
    "fpn": (250.19, 250.44, 250),
    "sgn": (246.31, 246.59, 247),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_mac_figures(name: str) -> None:
    conv, profiler, printed = PAPER[name]
    macs = ARCHITECTURES[name].graph().macs(720, 1280)
    assert macs.conv / 1e9 == pytest.approx(conv, abs=0.005)
    assert macs.profiler / 1e9 == pytest.approx(profiler, abs=0.005)
    assert round(macs.profiler / 1e9) == printed


def test_conv_macs_against_a_count_by_hand() -> None:
    pixels = 720 * 1280

    def conv(cin: int, cout: int, kernel: int = 3, reduction: int = 1) -> float:
        return kernel**2 * cin * cout * pixels / reduction**2

    edsr = conv(3, 32) + 29 * conv(32, 32) + conv(32, 3)
    assert ARCHITECTURES["edsr"].graph().macs(720, 1280).conv == edsr
    block = sum(conv(32 + 16 * c, 16) for c in range(3)) + conv(80, 32, 1)
    rdn = conv(3, 32) + 2 * conv(32, 32) + 10 * block + conv(320, 32, 1) + conv(32, 3)
    assert ARCHITECTURES["rdn"].graph().macs(720, 1280).conv == rdn
    dbpn = conv(3, 128) + conv(128, 32, 1) + 60 * conv(32, 32, 8, 4) + conv(320, 3)
    assert ARCHITECTURES["dbpn"].graph().macs(720, 1280).conv == dbpn
    sgn = conv(3, 32) + conv(48, 32) + 11 * conv(32, 32) + conv(32, 3)
    for k in (1, 2, 3):
        c = 32 * 2**k
        sgn += conv(3 * 4**k, c, 3, 2**k) + 4 * conv(c, c, 3, 2**k)
        sgn += conv(c + c // 2, c, 3, 2**k) if k < 3 else 0
    assert ARCHITECTURES["sgn"].graph().macs(720, 1280).conv == sgn


@pytest.mark.parametrize("name", PAPER)
def test_json_and_back(name: str) -> None:
    value = ARCHITECTURES[name]
    small = value.narrowed()  # type: ignore[attr-defined]
    for one in (value, small):
        assert architecture_from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert small.graph().parameters() < 0.05 * value.graph().parameters()
    assert small.label != value.label
    assert small.narrowed() == small
    assert type(small) is type(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EDSR(blocks=0), r"EDSR\.blocks=0: expected 1 at least"),
        (lambda: RDN(growth=0), r"RDN\.growth=0: expected 1 at least"),
        (lambda: DBPN(kernel=7), r"DBPN\.kernel=7: expected the factor 4 plus an even number"),
        (lambda: DBPN(kernel=2), r"DBPN\.kernel=2"),
        (lambda: FPN(stem=3), r"FPN\.stem=3, head=112: both must be even"),
        (lambda: SGN(width=5), r"SGN\.width=5: must be even"),
    ],
)
def test_bad_values_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("name", PAPER)
def test_a_smoke_test_of_nas_compress_narrows_every_family(name: str) -> None:
    from nas.compression.channels import group_channels
    from nas.compression.pruning import Pruning, check_share
    from nas.report.compression_job import narrowed

    narrow = narrowed(ARCHITECTURES[name], 0.3)
    assert narrow == ARCHITECTURES[name].narrowed()  # type: ignore[attr-defined]
    check_share(group_channels(narrow.graph()), 0.3, Pruning())
