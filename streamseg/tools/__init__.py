"""The commands beside run and live: bench, compare, demo, evaluation."""

# Modules that other packages import, beside the names here
PUBLIC = ("bench", "compare", "demo", "evaluation")
