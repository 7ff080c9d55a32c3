"""A loopback server that answers as a simulated reader, in the protocols of OpenAI and of Anthropic."""
