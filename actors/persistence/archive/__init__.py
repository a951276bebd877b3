"""Old rows of the journal in compressed files that can be verified, and how they get there, are read, and come back."""
