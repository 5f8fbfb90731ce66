import pytest

from nas.errors import ConfigError
from search_spaces import architecture_from_dict


def test_bad_json_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"EDSR has the entries .*these differ: \['blocks'\]"):
        architecture_from_dict({"family": "edsr", "width": 8})
    with pytest.raises(ConfigError, match=r"EDSR\.blocks='2': expected int"):
        architecture_from_dict({"family": "edsr", "width": 8, "blocks": "2"})
