"""Models: one class a file; each takes its sizes from the data set's facts and returns raw outputs."""
