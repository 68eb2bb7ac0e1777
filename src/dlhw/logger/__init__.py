"""What may take each row beside the run's own files. Only the one that is chosen is loaded."""
