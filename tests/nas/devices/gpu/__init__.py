"""Tests of LiteRT's GPU in software."""
