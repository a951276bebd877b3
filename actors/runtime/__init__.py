"""What an actor is: mailbox, dispatcher, clock, restart policy, simulation."""
