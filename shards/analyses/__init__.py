"""How data sets differ: people drawn with a fixed seed, distances between their distributions, maps, feature files.

Arrays go in, numbers and frames come out; nothing here draws or needs torch. ``docs/analyses.md`` has the formulas.
"""
