"""Runs that differ in numbers alone, trained as the lanes of one program: stacked parameters and `torch.func.vmap`."""
