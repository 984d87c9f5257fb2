"""Annotation of a MAF's calls in the way of Ensembl VEP: one CSQ entry per call.

    Variant_Classification or Consequence, gene, HGVS -> csq -> text of INFO

References
----------
cBioPortal, "File Formats", section "Mutation Data"; Sequence Ontology.
"""

import polars as pl

from assets.importers.writers import CSQ_FIELDS

#: Variant_Classification -> term of the Sequence Ontology, where VEP's own terms are not given.
#: ``Splice_Site`` does not say which side; both change the protein alike.
CONSEQUENCES = {
    "3'Flank": "downstream_gene_variant",
    "3'UTR": "3_prime_UTR_variant",
    "5'Flank": "upstream_gene_variant",
    "5'UTR": "5_prime_UTR_variant",
    "De_novo_Start_InFrame": "5_prime_UTR_premature_start_codon_gain_variant",
    "De_novo_Start_OutOfFrame": "5_prime_UTR_premature_start_codon_gain_variant",
    "Frame_Shift_Del": "frameshift_variant",
    "Frame_Shift_Ins": "frameshift_variant",
    "IGR": "intergenic_variant",
    "In_Frame_Del": "inframe_deletion",
    "In_Frame_Ins": "inframe_insertion",
    "Intron": "intron_variant",
    "Missense_Mutation": "missense_variant",
    "Nonsense_Mutation": "stop_gained",
    "Nonstop_Mutation": "stop_lost",
    "RNA": "non_coding_transcript_exon_variant",
    "Silent": "synonymous_variant",
    "Splice_Region": "splice_region_variant",
    "Splice_Site": "splice_acceptor_variant",
    "Start_Codon_Del": "start_lost",
    "Start_Codon_Ins": "start_lost",
    "Start_Codon_SNP": "start_lost",
    "Stop_Codon_Del": "stop_lost",
    "Stop_Codon_Ins": "stop_lost",
    "Translation_Start_Site": "start_lost",
    "lincRNA": "non_coding_transcript_exon_variant",
}
#: What a variant of any other classification is.
UNKNOWN_CONSEQUENCE = "sequence_variant"
#: Characters that end a value of INFO or CSQ -> their code (VCF 4.3, section 1.2).
_RESERVED = {"%": "%25", ";": "%3B", "=": "%3D", ",": "%2C", "|": "%7C", " ": "_"}


def csq(alternate: pl.Expr) -> pl.Expr:
    """CSQ annotation of a row of a MAF that has VCF alleles already.

    Parameters
    ----------
    alternate
        Alternate allele as the MAF writes it.
    """
    given = pl.col("Consequence").str.replace_all("[;,]", "&")
    classified = pl.col("Variant_Classification").replace_strict(
        CONSEQUENCES, default=UNKNOWN_CONSEQUENCE, return_dtype=pl.String
    )
    fields = {
        "Allele": alternate,
        "Consequence": pl.coalesce(given, classified),
        "SYMBOL": _escaped("Hugo_Symbol"),
        "Gene": _escaped("Gene"),
        "HGVSc": _escaped("HGVSc"),
        "HGVSp": _escaped("HGVSp", "HGVSp_Short", "Protein_Change"),
        "BIOTYPE": _escaped("BIOTYPE"),
        "Existing_variation": _escaped("Existing_variation"),
        "SIFT": _escaped("SIFT"),
        "PolyPhen": _escaped("PolyPhen"),
    }
    return pl.concat_str([fields[name] for name in CSQ_FIELDS], separator="|")


def _escaped(*columns: str) -> pl.Expr:
    value = pl.coalesce(*columns).fill_null("")
    for character, code in _RESERVED.items():
        value = value.str.replace_all(character, code, literal=True)
    return value
