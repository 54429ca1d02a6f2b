"""What applies treatments to a live model. The only part of `evenflow.treatments` with torch."""
