"""What a notebook shows of a run and of its front."""

from __future__ import annotations

import re
from pathlib import Path

from nas.report import open_front
from tests.helpers.fake_run import make_run


def test_a_front_is_a_table_with_the_model_to_take(tmp_path: Path) -> None:
    found = open_front(make_run(tmp_path, 40))
    html = found._repr_html_()
    rows = re.findall(r"<tr( style=\"font-weight:bold\")?><td[^>]*>(\d+)</td>", html)
    assert [int(number) for _, number in rows] == [member.number for member in found.front]
    choice = found.choose()
    assert choice is not None
    assert [int(number) for bold, number in rows if bold] == [choice.model.trial]
    assert f"{found.front[0].value('psnr_db'):.2f}</td>" in html
    assert 'title="synthetic' in html


def test_a_run_says_what_it_holds(tmp_path: Path) -> None:
    run = make_run(tmp_path / "<run>", 20)
    html = run._repr_html_()
    assert "20 trials (" in html
    assert "&lt;run&gt;" in html
    assert "open_front(run)" in html


def test_an_empty_front_has_no_table(tmp_path: Path) -> None:
    html = open_front(make_run(tmp_path, 0))._repr_html_()
    assert "<table>" not in html
    assert html == "<p>0 trials ended, and none is on the front.</p>"
