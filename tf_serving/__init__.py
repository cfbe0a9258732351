"""TensorFlow Serving: configuration of the real server, and an embedded stand-in with the same interface."""
