"""Losses of ours; each takes raw outputs and integer targets and does its own encoding."""
