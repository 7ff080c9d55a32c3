"""The experiments: how each is planned, and what its results say."""
