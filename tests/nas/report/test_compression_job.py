"""Parts of a compression job that need no training; test_compress.py of the command runs it."""

from nas.errors import DeviceError
from nas.networks.candidate import Compression
from nas.report.compression_job import (
    as_results,
    compression_card,
    first_unmeasured,
    folder_name,
    narrowed,
)
from search_spaces import UNet

NETWORK = UNet("resize-bilinear", "prelu", (8, 12), 1, 3)
ROW = {
    "pruned_share": 0.3,
    "precision": "float",
    "reached_share": 0.31,
    "network": {"family": "unet"},
    "psnr_db": 30.0,
    "ssim": 0.9,
    "scored_on": "six pictures",
}


def test_a_folder_names_its_compression():
    assert folder_name(Compression("int8-qat", 0.3)) == "p30-int8-qat"
    assert folder_name(Compression("float", 0.125)) == "p12.5-float"


def test_a_card_names_the_network_that_was_made():
    common = {"architecture": NETWORK.to_dict(), "conditions": {"seed": 3}, "before": {"ssim": 1}}
    card = compression_card(common, ROW)
    assert card["candidate"] == {
        "architecture": NETWORK.to_dict(),
        "compression": {"pruned_share": 0.3, "precision": "float"},
    }
    assert card["conditions"] == {"seed": 3, "network": {"family": "unet"}}
    assert card["pruned_share"] == 0.31
    assert (card["before"], card["after"]) == ({"ssim": 1}, ROW)


def test_rows_that_failed_are_no_results():
    document = {"rows": [{**ROW, "failure": "away"}, ROW]}
    (result,) = as_results(document, NETWORK)
    assert result.number == 0
    assert result.value("psnr_db") == 30.0
    assert result.metrics["ssim"].conditions == "six pictures"
    assert result.candidate["compression"]["pruned_share"] == 0.3


def test_a_narrow_network_is_smaller_and_can_be_pruned():
    wide = UNet("resize-bilinear", "relu", (64, 128), 1, 3)
    assert narrowed(wide, 0.3).graph().parameters() < wide.graph().parameters() / 4


def test_a_device_without_a_latency_is_an_error_in_the_end():
    row = {"pruned_share": 0.3, "precision": "float", "devices": {"adb:x": {"failure": "away"}}}
    document = {"before": {**row, "devices": {}}, "after": row}
    error = first_unmeasured(document)
    assert isinstance(error, DeviceError)
    assert str(error) == "p30-float has no latency on adb:x: away"
    assert first_unmeasured({"before": document["before"], "after": document["before"]}) is None
