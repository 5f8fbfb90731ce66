"""Write `nas/published/operations.csv`: the operations of the paper's networks at 1280x720.

    python benchmarks/published_operations.py [--check]

From the reconstructions in `search_spaces`. The paper prints the MACs of its pruned networks but no
widths: they are narrowed evenly, every width but the output's by one factor, to the widest network
that does not exceed the printed figure. With --check nothing is written; the exit code is 1 where
the file is not what would be.
"""

from __future__ import annotations

import argparse
import csv
import io

from nas.compression.channels import with_channels
from nas.devices.paper_phones.published import FOLDER, SIZE, rows
from nas.networks.graph import Conv, Graph
from nas.system.files import write_atomically
from nas.tflite.operations import Operations, of_graph
from search_spaces import ARCHITECTURES

PATH = FOLDER / "operations.csv"
HEAD = ("network", "pruned_percent", "op", "height", "width", "channels", "conv_macs", "sources",
        "window_over_stride")  # fmt: skip


def evenly_narrowed(graph: Graph, factor: float) -> Graph:
    """Every convolution's width times `factor`, but the last one's, which makes the picture."""
    convolutions = [layer for layer in graph.layers if isinstance(layer, Conv)]
    return with_channels(
        graph, {layer.name: round(layer.channels * factor) for layer in convolutions[:-1]}
    )


def pruned(graph: Graph, gmacs: float) -> Graph:
    """The widest evenly narrowed network of at most `gmacs` (profiler) at 1280x720."""
    width, height = SIZE
    low, high = 0.3, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        fits = evenly_narrowed(graph, middle).macs(height, width).profiler <= gmacs * 1e9
        low, high = (middle, high) if fits else (low, middle)
    return evenly_narrowed(graph, low)


def networks() -> dict[tuple[str, int | None], Operations]:
    """Every network of Tables 2 to 4, by name and pruned share in percent."""
    found = {}
    for row in rows():
        graph = ARCHITECTURES[row.network].graph()
        if row.pruned_percent is not None:
            graph = pruned(graph, row.gmacs)
        found.setdefault((row.network, row.pruned_percent), of_graph(graph, SIZE, fold=False))
    return found


def content() -> str:
    """Return the text of the file."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEAD)
    for (name, percent), operations in networks().items():
        for step in operations.steps:
            sources = ";".join(map(str, step.sources))
            over = int(step.window_over_stride)
            writer.writerow(
                [name, percent or "", step.op, *step.shape, step.conv_macs, sources, over]
            )
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = content()
    if check:
        same = PATH.is_file() and PATH.read_text() == text
        print(f"{PATH.name} is {'as it should be' if same else 'not what search_spaces give'}")
        raise SystemExit(0 if same else 1)
    write_atomically(PATH, lambda file: file.write(text.encode()))
    print(f"{PATH.name}: {len(text.splitlines()) - 1} operations of {len(networks())} networks")


if __name__ == "__main__":
    main()
