"""When requests go out and what became of them: the schedule, the engine, the recorder and the client processes."""
