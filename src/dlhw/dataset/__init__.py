"""Data sets: read, checked, split, kept as uint8 on the device, handed out as batches. One idea a file.

To read in this order: images.py (the base of every set), digits.py (the smallest set), split.py, batches.py.
"""
