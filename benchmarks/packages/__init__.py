"""Programs that benchmarks.peers runs in other packages' environments: they import nothing of streamseg."""
