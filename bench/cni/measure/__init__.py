"""What bench/cni/run measures with and what it measures."""
