"""What is recorded of a training and of a trained model, for people to look at; no server reads it."""
