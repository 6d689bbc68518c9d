"""Prints the page that plays packed alpha."""

from pathlib import Path

if __name__ == "__main__":
    print(Path(__file__).with_name("player.html").read_text(encoding="utf-8"), end="")
