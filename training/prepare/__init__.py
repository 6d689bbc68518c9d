"""Makes picture sets (index.csv, see training/data.py) of what others publish: one module a source."""
