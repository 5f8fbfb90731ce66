"""Phones over adb: the server, one phone's connection, and what goes over the wire."""
