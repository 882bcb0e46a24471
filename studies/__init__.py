"""The papers' studies as lists of runs: each trains a network and scores it, and what is finished stays."""
