"""The paper's three phones: its published cells, and latencies modelled from them."""
