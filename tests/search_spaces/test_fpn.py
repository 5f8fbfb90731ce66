from search_spaces import FPN


def test_the_pyramids_sizes_at_720p() -> None:
    shapes = {row.layer.name: row.shape for row in FPN().graph().costs(720, 1280)}
    assert shapes["enc0"][:2] == (359, 639)
    assert shapes["enc1"] == (178, 318, 64)
    assert shapes["enc2"] == (87, 157, 192)
    assert shapes["mixed5b"][2] == 320
    assert shapes["mixed6a"] == (43, 78, 1088)
    assert shapes["mixed7a"] == (21, 38, 2080)
    padded = [shapes[f"lateral{level}_pad"] for level in (4, 3, 2, 1, 0)]
    sides = [(23, 40), (45, 80), (90, 160), (180, 320), (360, 640)]
    assert padded == [(*side, 112 if side[0] == 360 else 256) for side in sides]
    assert shapes["heads"] == (180, 320, 448)
