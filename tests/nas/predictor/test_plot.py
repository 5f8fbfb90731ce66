import io
from dataclasses import replace

from PIL import Image

from nas.predictor.checking import NetworkCheck
from nas.predictor.plot import plot

ROW = NetworkCheck("net", "float", 1.0, 10.0, (9.9, 10.1), 10.2, (9.0, 11.0), 12.0, ())


def test_there_is_a_panel_for_each_precision() -> None:
    rows = [replace(ROW, latency_ms=10.0 + n, predicted_ms=10.5 + n) for n in range(3)]
    whole = Image.open(io.BytesIO(plot(rows, "one")))
    more = [*rows, *(replace(row, precision="int8-ptq") for row in rows)]
    both = Image.open(io.BytesIO(plot(more, "two")))
    assert whole.format == both.format == "PNG"
    assert both.size == (2 * whole.size[0], whole.size[1])
