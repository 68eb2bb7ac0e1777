"""The report of runs, sweeps and studies: tables, plots and a page, made from what lies in outputs/ alone."""
