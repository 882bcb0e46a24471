"""ehps: data engineering, training and benchmarking for expressive human pose and shape datasets."""

__version__ = "0.1.0"
