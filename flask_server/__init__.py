"""A plain Flask service over one artifact, the third way to serve the same model."""
