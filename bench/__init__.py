"""Measurements of speed and accuracy, side by side with other tools: `python -m bench.NAME`."""
