"""Any matrix of genes and patients as a landing zone."""
