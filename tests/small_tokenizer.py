"""Train the small tokenizer that the package ships: `make small-tokenizer`.

Its texts are the samples and generated prose, so anyone can make it again, byte for byte; a test does.
"""

from itertools import islice
from pathlib import Path

from probes.haystack import generate_sentences
from tokenizer import Tokenizer
from tokenizer.training import train_on

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "tokenizer" / "data" / "small.json"
VOCABULARY = 4096
PROSE_SENTENCES = 2500


def documents() -> list[bytes]:
    """The samples that are texts, in the order of their paths, and a stretch of generated prose."""
    folder = ROOT / "samples"
    samples = sorted([folder / "code" / "inventory.py", folder / "conversation.json", *folder.glob("texts/*.txt")])
    prose = "".join(islice(generate_sentences("small tokenizer"), PROSE_SENTENCES))
    return [*(path.read_bytes() for path in samples), prose.encode()]


def trained() -> Tokenizer:
    """The tokenizer, as it is shipped."""
    return train_on(documents(), vocab_size=VOCABULARY, split="gpt2")


if __name__ == "__main__":
    trained().save(SHIPPED)
