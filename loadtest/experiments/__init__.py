"""What is done with the servers: parity, one measured run, the comparison, the search for the capacity, simulation."""
