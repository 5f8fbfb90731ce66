"""Runs trials: in this process, in several, or on a Ray cluster; and tells what runs where."""
