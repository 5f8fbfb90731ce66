"""What is suggested for a slow U-Net: one choice at a time, each a network."""

from __future__ import annotations

from dataclasses import replace

from search_spaces import EDSR, UNet, architecture_from_dict
from search_spaces.suggestions import suggestions

SLOW = UNet("transpose-conv", "prelu", (36, 68, 20), 2, 3)


def test_each_suggestion_changes_one_choice_of_the_network() -> None:
    found = {
        (one.what, one.after): architecture_from_dict(one.architecture)
        for one in suggestions(SLOW.to_dict())
    }
    assert found == {
        ("upsampling", "depth-to-space"): replace(SLOW, upsampling="depth-to-space"),
        ("upsampling", "resize-bilinear"): replace(SLOW, upsampling="resize-bilinear"),
        ("skip", "addition"): replace(SLOW, skip="addition"),
        ("activation", "relu"): replace(SLOW, activation="relu"),
        ("downsampling", "strided-conv"): replace(SLOW, downsampling="strided-conv"),
        ("downsampling", "space-to-depth"): replace(SLOW, downsampling="space-to-depth"),
        ("widths", "32-64-20"): replace(SLOW, widths=(32, 64, 20)),
    }


def test_a_change_back_has_the_key_of_the_papers_choice() -> None:
    added = replace(SLOW, skip="addition", widths=(32, 64))
    back = [one for one in suggestions(added.to_dict()) if one.what in ("skip", "widths")]
    assert [(one.before, one.after) for one in back] == [("addition", "concatenation")]
    assert back[0].architecture == replace(SLOW, widths=(32, 64)).to_dict()


def test_other_families_are_left_alone() -> None:
    assert list(suggestions(EDSR().to_dict())) == []
