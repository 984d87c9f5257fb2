"""How good and how honest predictions are, with intervals over patients."""
