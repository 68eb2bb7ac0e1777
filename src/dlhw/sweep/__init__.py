"""Many runs: what identifies a run, run lists, launching, and studies."""
