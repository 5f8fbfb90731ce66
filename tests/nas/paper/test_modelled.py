"""Modelled latencies of the published rows against the models that left them out."""

import pytest

from nas.devices.paper_phones.latency_model import leave_one_out
from nas.devices.paper_phones.published import PHONES, rows
from nas.paper.modelled import modelled_latency


@pytest.mark.parametrize("phone", PHONES)
def test_modelled_latencies_did_not_see_their_cell(phone: str) -> None:
    left_out = {
        name: row.modelled_ms
        for row in leave_one_out(phone).rows
        for name in row.label.split(" / ")
    }
    for row in rows():
        cell, here = row.cell(phone), modelled_latency(row, phone)
        assert here.source == "modelled"
        if cell.outcome == "number":
            assert here.value == left_out[row.row]
            assert here.interval is not None
            assert here.interval[0] < here.value < here.interval[1]
        elif cell.outcome == "failed":
            assert here.value is None
            assert here.failure is not None
        else:
            assert here.value is not None
            assert "NNAPI has no 16-bit fixed point" in here.about
