"""What is served: the contract of a server folder, the artifact, what a right answer is, and the bare forward pass."""
