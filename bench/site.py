"""What is deployed: a site of so many files, some of which change."""

import random
from dataclasses import dataclass, field
from pathlib import Path

WORDS = ("release", "current", "shared", "publish", "prove", "the", "of", "and", "<p>", "</p>", "class=", "href=")


@dataclass
class Site:
    """*files* files of *size_bytes* each in *folder*, one hundred in a directory; the same ones every time."""

    folder: Path
    files: int = 2_000
    size_bytes: int = 10_000
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        for number in range(self.files):
            path = self.path(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._text())

    def path(self, number: int) -> Path:
        """Where one of the files is."""
        return self.folder / f"part-{number // 100:03}" / f"page-{number:05}.html"

    def change(self, count: int = 20) -> None:
        """Write *count* files anew, spread over all directories."""
        for number in self.dice.sample(range(self.files), count):
            self.path(number).write_text(self._text())

    def _text(self) -> str:
        """Half words, half what compresses as badly as a picture: source text and pictures, as sites have them."""
        half = self.size_bytes // 2
        words = " ".join(self.dice.choices(WORDS, k=half // 4))[:half]
        return words + self.dice.randbytes(self.size_bytes // 4 + 1).hex()[: self.size_bytes - len(words)]
