"""The commands beside run and live: bench, compare, demo, doctor, evaluation."""

# Modules that other packages import, beside the names here
PUBLIC = ("bench", "compare", "demo", "doctor", "evaluation")
