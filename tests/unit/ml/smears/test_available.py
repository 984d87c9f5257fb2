"""A machine without the extra: all but a network works, and a network says what is missing."""

import subprocess
import sys

import pytest

from ml.smears import available
from ml.smears.available import require_extra
from oncoframe.errors import ExtraMissing

#: Loads what everybody loads, where no package of the extra can be found.
_WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "captum"):
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Nowhere())
import assets.models.fields, ml.serving.model, ml.training.classification, orchestration.cli.main
"""


def test_require_extra__says_in_one_sentence_what_to_install(monkeypatch):
    monkeypatch.setattr(available, "find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(ExtraMissing) as raised:
        require_extra()
    assert str(raised.value) == (
        "networks on smears need the extra smears; got no package torch. "
        "Install it: pip install 'oncoframe[smears]', or make test-smears in a checkout."
    )


@pytest.mark.slow
def test_commands_and_models__load_without_the_extra():
    """One import at the top of a module, and a machine without torch cannot start."""
    subprocess.run([sys.executable, "-P", "-c", _WITHOUT], check=True)
