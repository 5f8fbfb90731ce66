"""The kernel's parts by hand."""

import numpy as np

from nas.sampling import kernel


def test_combinations_of_three_categories_are_shares_of_what_is_common() -> None:
    three = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    rows = kernel.Rows.of(three, np.ones(3, bool))
    found = kernel.together(rows, rows)
    # Of three pairs and one triple: all four, one pair, none.
    np.testing.assert_allclose(found, [[1, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 1]])
