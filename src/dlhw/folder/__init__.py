"""A run's folder: what is written into it, how it is read again, and with what code and data it was made."""
