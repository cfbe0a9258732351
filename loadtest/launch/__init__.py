"""Ways to start servers: as processes of this machine, or with docker compose."""
