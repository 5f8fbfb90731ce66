"""Tests of how logs are read."""
