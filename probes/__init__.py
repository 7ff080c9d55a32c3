"""Experiments on models: plan them, make the calls, keep the answers, score and compare them."""
