"""Which extractor reads which modality.

    Modality -> EXTRACTORS -> contract of its table, function that reads its files

Light to import: a reader that needs more than Polars and NumPy loads it with its first file, so a
worker process may load them all.
"""

from dataclasses import dataclass

from assets.expression import quantification
from assets.genomics.cnv import reader as cnv
from assets.genomics.fusion import reader as fusion
from assets.genomics.snv import reader as snv
from assets.genomics.sv import reader as sv
from assets.imaging import ct
from oncoframe.contracts import Contract, Modality
from oncoframe.extraction import Extractor


@dataclass(frozen=True)
class ModalityTable:
    """A modality: the contract of its feature table and the function that reads one file."""

    contract: Contract
    extract: Extractor


#: Modalities that are read, in the order of the data's flow.
EXTRACTORS: dict[Modality, ModalityTable] = {
    Modality.SNV: ModalityTable(snv.CONTRACT, snv.extract),
    Modality.SV: ModalityTable(sv.CONTRACT, sv.extract),
    Modality.CNV: ModalityTable(cnv.CONTRACT, cnv.extract),
    Modality.FUSION: ModalityTable(fusion.CONTRACT, fusion.extract),
    Modality.EXPRESSION: ModalityTable(quantification.CONTRACT, quantification.extract),
    Modality.CT: ModalityTable(ct.CONTRACT, ct.extract),
}
