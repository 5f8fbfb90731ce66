"""What a command printed under `--json`, held to its schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from nas.cli.documents import schema_of


def data_of(text: str, kind: str) -> Any:
    """Return the data of an envelope of this kind; fails where the schema is broken."""
    envelope = _checked(text, kind)
    assert "data" in envelope, envelope
    return envelope["data"]


def error_of(text: str, kind: str) -> Any:
    """Return the error of an envelope of this kind; fails where the schema is broken."""
    envelope = _checked(text, kind)
    assert "error" in envelope, envelope
    return envelope["error"]


def _checked(text: str, kind: str) -> Any:
    envelope = json.loads(text)
    assert envelope["kind"] == kind
    jsonschema.Draft202012Validator(schema_of(kind)).validate(envelope)
    return envelope
