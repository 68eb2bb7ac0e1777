"""Learning rate schedules: torch's own, with the time at which each is stepped."""
