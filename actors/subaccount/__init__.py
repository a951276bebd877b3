"""What one virtual sub-account decides: checks, margin, ADL, fills."""
