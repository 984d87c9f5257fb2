"""What ``feast apply`` registers; every other module is in ``.feastignore``.

Feast imports this file by its path and takes every declaration that has a name in it.
"""

from typing import Any

from feature_repo.entities import PATIENT
from feature_repo.services import SERVICES
from feature_repo.views import VIEWS

_DECLARATIONS: tuple[Any, ...] = (PATIENT, *VIEWS, *SERVICES)
globals().update({declaration.name: declaration for declaration in _DECLARATIONS})
