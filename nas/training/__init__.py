"""Trains a network on a schedule, and one elastic network for a whole space (`supernet`)."""
