"""Speed, quality and peers, measured. Each module is one command; results are JSON under results/."""
