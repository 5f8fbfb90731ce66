from __future__ import annotations

from nas.networks.candidate import Candidate, Compression
from nas.report.labels import label_in_words
from search_spaces import EDSR, UNet


def test_a_unet_s_label_in_words() -> None:
    network = UNet("depth-to-space", "prelu", (32, 8, 32), 2, 3, True)
    words = label_in_words(Candidate(network, Compression("int8-qat", 0.3)).to_dict())
    assert words.startswith("U-Net with depth-to-space up-sampling and prelu; 32-8-32 channels")
    for part in ("2 convolutions a level", "first kernel 3x3", "adds what it computes", "30 %"):
        assert part in words
    assert words.endswith("8-bit, trained for it")
    plain = label_in_words(Candidate(UNet("transpose-conv", "relu", (8, 16))).to_dict())
    assert "adds" not in plain
    assert "pruned" not in plain


def test_another_family_tells_its_fields() -> None:
    words = label_in_words(Candidate(EDSR(8, 2)).to_dict())
    assert words.startswith("family edsr; ")
    assert words.endswith("32-bit float")
