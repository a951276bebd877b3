"""The projector: every table but the journal, made from the journal."""
