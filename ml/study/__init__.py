"""Studies: what is predicted for whom from what, and how it is modelled."""
