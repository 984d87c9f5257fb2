"""Feature services: what a model version is trained on and served with.

A service keeps its name and its columns; another set of columns is another version.
"""

from feast import FeatureService

from feature_repo.contract_view import known_at_index
from feature_repo.views import VIEWS

aml_who_class_v1 = FeatureService(
    name="aml_who_class_v1",
    features=[known_at_index(view) for view in VIEWS],
    description="All modalities, only what is known at diagnosis.",
    tags={"study": "aml_who_class"},
)

SERVICES = (aml_who_class_v1,)
