"""Two small real models that ship with the package, their cards, and the scripts that trained them; knows no torch.

`SENTIMENT` is an English sentiment classifier, `LANGUAGE` a causal language model; both are ordinary Hugging Face
folders.  The scripts (`python -m audit.reference.train_sentiment --help`) are kept as the record of how the weights
were made: nothing in the package needs them to run.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
SENTIMENT = FOLDER / "sentiment"
LANGUAGE = FOLDER / "language"
