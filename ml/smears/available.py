"""Whether this machine has the extra ``smears``; torch is heavy and most machines do without.

require_extra -> nothing | one sentence
"""

from importlib.util import find_spec

from oncoframe.errors import ExtraMissing

_PACKAGES = ("torch", "torchvision", "captum")


def require_extra() -> None:
    """Return if the packages of the extra are there.

    Raises
    ------
    ExtraMissing
        If one is not; it names the package and what installs it.
    """
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise ExtraMissing(
            "networks on smears need the extra smears",
            got=f"no package {missing[0]}",
            hint="Install it: pip install 'oncoframe[smears]', or make test-smears in a checkout.",
        )
