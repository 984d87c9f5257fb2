"""Consequences of a variant on its gene: Sequence Ontology terms and their severity.

References
----------
Sequence Ontology, http://www.sequenceontology.org. The order is that of Ensembl VEP, "Calculated
variant consequences"; the terms of SnpEff stand beside the VEP term they refine.
"""

#: Terms that VEP and SnpEff write, the most severe first.
SEVERITY = (
    "transcript_ablation",
    "exon_loss_variant",
    "splice_acceptor_variant",
    "splice_donor_variant",
    "stop_gained",
    "frameshift_variant",
    "stop_lost",
    "start_lost",
    "initiator_codon_variant",
    "transcript_amplification",
    "feature_elongation",
    "feature_truncation",
    "inframe_insertion",
    "disruptive_inframe_insertion",
    "conservative_inframe_insertion",
    "inframe_deletion",
    "disruptive_inframe_deletion",
    "conservative_inframe_deletion",
    "missense_variant",
    "rare_amino_acid_variant",
    "protein_altering_variant",
    "splice_donor_5th_base_variant",
    "splice_region_variant",
    "splice_donor_region_variant",
    "splice_polypyrimidine_tract_variant",
    "incomplete_terminal_codon_variant",
    "start_retained_variant",
    "stop_retained_variant",
    "synonymous_variant",
    "coding_sequence_variant",
    "mature_miRNA_variant",
    "5_prime_UTR_premature_start_codon_gain_variant",
    "5_prime_UTR_variant",
    "3_prime_UTR_variant",
    "non_coding_transcript_exon_variant",
    "intron_variant",
    "NMD_transcript_variant",
    "non_coding_transcript_variant",
    "coding_transcript_variant",
    "upstream_gene_variant",
    "downstream_gene_variant",
    "TFBS_ablation",
    "TFBS_amplification",
    "TF_binding_site_variant",
    "regulatory_region_ablation",
    "regulatory_region_amplification",
    "regulatory_region_variant",
    "intergenic_variant",
    "intergenic_region",
    "sequence_variant",
)

#: Terms that change the protein: what counts towards the burden of a gene.
PROTEIN_ALTERING = frozenset(
    {
        "transcript_ablation",
        "exon_loss_variant",
        "splice_acceptor_variant",
        "splice_donor_variant",
        "stop_gained",
        "frameshift_variant",
        "stop_lost",
        "start_lost",
        "inframe_insertion",
        "disruptive_inframe_insertion",
        "conservative_inframe_insertion",
        "inframe_deletion",
        "disruptive_inframe_deletion",
        "conservative_inframe_deletion",
        "missense_variant",
        "rare_amino_acid_variant",
        "protein_altering_variant",
    }
)

#: Terms that end or lose the protein.
TRUNCATING = frozenset(
    {
        "transcript_ablation",
        "exon_loss_variant",
        "splice_acceptor_variant",
        "splice_donor_variant",
        "stop_gained",
        "frameshift_variant",
        "start_lost",
    }
)

_RANK = {term: rank for rank, term in enumerate(SEVERITY)}
_UNKNOWN_RANK = len(SEVERITY)


def terms(consequence: str) -> list[str]:
    """Terms of a consequence that joins several with ``&``."""
    return consequence.split("&")


def severity(consequence: str) -> int:
    """Rank of the most severe term, 0 the most severe; unknown terms come last."""
    return min(_RANK.get(term, _UNKNOWN_RANK) for term in terms(consequence))
