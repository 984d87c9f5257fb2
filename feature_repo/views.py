"""Feature views: the contract of every feature table, in Feast's words.

A modality that joins the catalogue of feature tables is here without another line.
"""

from feature_repo.contract_view import feature_view
from oncoframe.modalities import feature_contracts

VIEWS = tuple(feature_view(contract) for contract in feature_contracts())
