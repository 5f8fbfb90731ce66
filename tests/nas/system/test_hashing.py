import hashlib
from pathlib import Path

import pytest

from nas.system.hashing import canonical_json, content_key, file_sha256


def test_equal_values_have_equal_json_whatever_their_order() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert content_key({"b": 1, "a": 2}) == content_key({"a": 2, "b": 1})
    assert content_key({"a": 1}) != content_key({"a": "1"})


def test_a_key_is_the_start_of_the_sha256() -> None:
    digest = hashlib.sha256(b'{"a":1}').hexdigest()
    assert content_key({"a": 1}) == digest[:12]
    assert content_key({"a": 1}, length=20) == digest[:20]


def test_a_value_that_is_no_number_has_no_key() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_key({"a": float("inf")})


def test_the_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
