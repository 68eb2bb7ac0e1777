"""backend=numpy: a torch module, loss and optimizer whose arithmetic is numpy_nn's, on the same memory.

To read in this order: twin.py (a module's graph, layer by layer), layers.py and functions.py (what stands for what),
losses.py, optimizer.py, adapters.py (the door: what a Trainer gets).
"""
