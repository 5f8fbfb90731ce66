import pytest

from nas.errors import ConfigError
from nas.networks.candidate import Compression
from search_spaces import CompressionSpace


def test_compressions_as_values():
    assert Compression("float", 0.3).to_dict() == {"pruned_share": 0.3, "precision": "float"}
    with pytest.raises(ConfigError, match=r"pruned_share=0\.8: expected a share .* from 0 to 0\.7"):
        Compression(pruned_share=0.8)
    space = CompressionSpace(("float", "int8-qat"), (0.0, 0.3))
    value = Compression("int8-qat", 0.3)
    import optuna

    assert space.sample(optuna.trial.FixedTrial(space.to_parameters(value))) == value
    with pytest.raises(ConfigError, match=r"pruned_share=0\.5 is not in the space, which has \[0"):
        space.to_parameters(Compression(pruned_share=0.5))
    with pytest.raises(ConfigError, match=r"CompressionSpace\.pruned_share is empty"):
        CompressionSpace(pruned_share=())
    with pytest.raises(ConfigError, match="a choice twice"):
        CompressionSpace(pruned_share=(0.1, 0.1))
