"""How a server holds under fire: too much load, a new version, a crash, clients that leave, hostile requests."""
