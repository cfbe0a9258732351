"""What may be believed: a run's verdict, intervals over rounds, objectives, and the result of a run."""
