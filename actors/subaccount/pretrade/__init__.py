"""The pre-trade checks: may this account take this order? ``checks`` runs them, the lists say which there are."""
