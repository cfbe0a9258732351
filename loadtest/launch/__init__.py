"""How a server comes up and goes down: as processes of this machine, with docker compose, or found on the network."""
