import pytest

from nas.networks.graph import (
    Graph,
)
from tests.helpers.artifacts import FIVE, SIX, network


def profiled(graph: Graph, height: int, width: int) -> float:
    """What TensorFlow's profiler makes of the Keras model, as MACs."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    from nas.networks.keras_model import build_model

    model = build_model(graph)
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec([1, height, width, 3]))
    _, frozen = convert_to_constants.convert_variables_to_constants_v2_as_graph(concrete)
    profiler = tf.compat.v1.profiler
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(frozen, name="")
        options = profiler.ProfileOptionBuilder.float_operation()
        options = profiler.ProfileOptionBuilder(options).with_empty_output().build()
        counted = profiler.profile(imported, cmd="op", options=options)
    return float(counted.total_float_ops / 2)


@pytest.mark.parametrize("name", [*FIVE, *("-".join(kind) for kind in SIX)])
def test_macs_are_those_of_the_profiler(name: str) -> None:
    value = FIVE[name] if name in FIVE else network(*SIX[["-".join(k) for k in SIX].index(name)])
    graph = value.graph()
    height, width = graph.fits(40), graph.fits(56)
    # It counts the negation of PReLU's slopes, too: once a slope, whatever the picture's size.
    slopes = sum(row.parameters for row in graph.costs(height, width) if "prelu" in row.layer.name)
    assert profiled(graph, height, width) == graph.macs(height, width).profiler + 0.5 * slopes
