"""Conversations as a model reads them: through a chat template, with every token's origin known."""
