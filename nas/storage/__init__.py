"""Where a run is kept: its folder, its copies on object storage, and its Optuna study."""
