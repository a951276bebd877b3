"""What an actor is: mailbox, dispatcher, clock, simulated time."""
