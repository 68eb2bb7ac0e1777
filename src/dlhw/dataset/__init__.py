"""Data sets: read, checked, split, kept on the device, handed out as batches. One idea a file.

To read in this order: images.py (the base of every set of images and classes), digits.py (the smallest of them),
split.py, batches.py. Then the sets with other targets: xor.py on tensors.py, canvas.py on masked.py, denoise.py.
"""
