import pytest

from nas.errors import ConfigError
from nas.networks.candidate import MOST_PRUNED, Candidate, Compression
from search_spaces import UNet


def test_a_key_depends_on_the_network_and_on_its_compression() -> None:
    networks = (UNet(), UNet(widths=(8, 8)))
    compressions = (Compression(), Compression("int8-ptq"), Compression("float", 0.3))
    keys = {Candidate(n, c).key for n in networks for c in compressions}
    assert len(keys) == 6
    assert Candidate(UNet()).key == Candidate(UNet(), Compression()).key


@pytest.mark.parametrize("share", [-0.01, MOST_PRUNED + 0.01])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=r"pruned_share=.*expected a share of the MACs from 0 to"):
        Compression(pruned_share=share)


def test_an_unknown_precision_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'int8-qta'\. Did you mean 'int8-qat'"):
        Compression("int8-qta")  # type: ignore[arg-type]
