"""How a server holds under fire: overload, a new version, a crash, clients that leave, hostile requests, long load."""
