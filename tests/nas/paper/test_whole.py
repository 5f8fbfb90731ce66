"""The staged study as it is: trained, converted, timed, reported, exported."""

from dataclasses import replace
from pathlib import Path

import pytest

from nas.networks.candidate import Compression
from nas.paper import NetworkList, PaperScale, PaperStep
from nas.paper.page import write_comparison
from nas.paper.run import run_steps
from nas.paper.steps import all_networks
from search_spaces import ARCHITECTURES, EDSR, UNet, architecture_from_dict
from studies.paper import SMOKE, variants

UNET = UNet("transpose-conv", "relu", (8, 8), 1, 3, global_residual=True)
CHOSEN = "unet-resizebilinear-prelu"


def _tiny() -> PaperScale:
    unets = {n: u for n, u in variants(UNET).items() if n in ("unet-transposeconv-relu", CHOSEN)}
    steps = (
        PaperStep(1, "Networks", {"unet-transposeconv-relu": UNET, "edsr": EDSR(8, 1)},
             choice="unet-transposeconv-relu"),
        PaperStep(2, "Up-sampling and activation", unets, choice=CHOSEN),
        PaperStep(3, "Pruning", compressions=(Compression(pruned_share=0.05),)),
        PaperStep(4, "Quantization", compressions=(Compression("int8-ptq"),)),
    )  # fmt: skip
    schedule = replace(SMOKE.study.schedule, steps=20, warmup_steps=5, patch=48)
    study = replace(
        SMOKE.study, space=NetworkList(all_networks(steps)), schedule=schedule, size=(96, 64),
        baselines=(), optional_devices=("paper:reno3-5g",),
    )  # fmt: skip
    return replace(SMOKE, study=study, steps=steps)


@pytest.mark.slow
def test_a_tiny_run_fills_its_rows_and_its_page(tmp_path: Path) -> None:
    scale = _tiny()
    run = run_steps(scale, tmp_path)
    results = run.results()
    assert [result.state for result in results] == ["complete"] * 5
    page = write_comparison(run, {"smoke": scale}, ARCHITECTURES, architecture_from_dict)
    html = page.html.read_text()
    assert "5 of 21" in html
    assert "data:image/webp" in html
    figures = (page.html.parent / "figure4.csv").read_text()
    assert figures.count("host,") == 4
    assert figures.count("measured") == 4
    timed = (page.html.parent / "devices.csv").read_text()
    assert timed.count("paper:reno3-5g") == timed.count("modelled") > 5
    table5 = (page.html.parent / "table5.csv").read_text()
    assert "host" not in table5  # neither the ReLU network nor 16 bits nor QAT were run
