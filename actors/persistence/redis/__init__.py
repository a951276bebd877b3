"""Redis for the platform: risk snapshots, prices and the event stream, all made after the commit. Optional."""
