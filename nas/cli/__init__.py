"""The command line: the roof of the house, which alone imports all four packages."""
