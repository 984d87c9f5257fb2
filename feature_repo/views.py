"""Feature views: the contract of every feature table, in Feast's words.

A modality that joins the catalogue of feature tables is here without another line.
"""

from assets.store.catalog import feature_contracts
from feature_repo.contract_view import feature_view

VIEWS = tuple(feature_view(contract) for contract in feature_contracts())
