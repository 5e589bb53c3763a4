"""Word lists, WordNet, taggers and vectors that attack recipes want: where they are, or what stands in for them.

Knows no recipe and downloads nothing.
"""

from __future__ import annotations

import functools
import io
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# English function words, for environments in which NLTK's list is not installed.
STOPWORDS = frozenset(
    """
    a an the this that these those such each every either neither both all any some no none other another own same
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves who whom whose which what one
    am is are was were be been being do does did doing done have has had having will would shall should can could may
    might must ought need
    and or but nor so yet if because as until while although though unless than whether since
    of at by for with about against between into through during before after above below to from up down in out on off
    over under onto upon within without toward towards among
    not only just too very again further then once here there when where why how now also more most few many much less
    i'm you're he's she's it's we're they're i've you've we've they've i'd you'd he'd she'd we'd they'd i'll you'll
    he'll she'll it'll we'll they'll that's that'll there's what's who's let's isn't aren't wasn't weren't don't doesn't
    didn't haven't hasn't hadn't won't wouldn't shan't shouldn't can't cannot couldn't mightn't mustn't needn't
    isn aren wasn weren don doesn didn haven hasn hadn won wouldn shan shouldn couldn mightn mustn needn ain
    s t d m o y ll re ve
    """.split()  # noqa: SIM905
)

# WordNet's lexicographer files in their numbering (lexnames(5WN)); Debian's packages leave this table out.
LEXNAMES = """
    adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition
    noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person
    noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state
    noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition
    verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession verb.social
    verb.stative verb.weather adj.ppl
""".split()  # noqa: SIM905
DEBIAN = "/usr/share/wordnet"  # where wordnet-base and wordnet-sense-index put theirs
PARTS = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}


def nltk_has(resource: str) -> bool:
    """Is this NLTK resource on one of its data paths (NLTK_DATA and its defaults), unpacked or zipped?"""
    import nltk.data

    for place in (resource, f"{resource}.zip"):
        try:
            nltk.data.find(place)
        except (LookupError, OSError, ValueError):
            continue
        return True
    return False


def stopwords(language: str = "english") -> list[str]:
    """NLTK's stop words where they are installed, else our own English ones."""
    if nltk_has("corpora/stopwords"):
        from nltk.corpus import stopwords as found

        return list(found.words(language))
    return sorted(STOPWORDS)


def wordnet_folder() -> Path | None:
    """Where WordNet's own database files lie outside NLTK (WNSEARCHDIR, or Debian's folder), if anywhere."""
    for place in (os.environ.get("WNSEARCHDIR", ""), DEBIAN):
        folder = Path(place)
        if place and all((folder / name).is_file() for name in ("data.noun", "index.noun", "index.sense")):
            return folder
    return None


def has_wordnet() -> bool:
    """Is there a WordNet, in NLTK's form or its own?"""
    return nltk_has("corpora/wordnet") or wordnet_folder() is not None


def wordnet() -> Any:
    """A reader of whichever WordNet there is.  LookupError where there is none."""
    if nltk_has("corpora/wordnet"):
        from nltk.corpus import wordnet as reader

        return reader
    folder = wordnet_folder()
    if folder is None:
        raise LookupError("no WordNet here")
    return _reader(folder)


@functools.cache
def _reader(folder: Path) -> Any:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader
    from nltk.data import PathPointer

    class Nowhere(PathPointer):  # type: ignore[misc]
        """The reader's root: nothing is read through it."""

        def open(self, encoding: str | None = None) -> None: ...

        def file_size(self) -> int:
            return 0

        def join(self, fileid: str) -> Nowhere:
            return self

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        """NLTK's reader on WordNet's own files, with the table they lack."""

        def open(self, file: str) -> io.StringIO:
            return io.StringIO(_wordnet_file(folder, file))

        def map_wn(self, version: str = "wordnet") -> None:
            """Only other languages need the map."""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Reader(Nowhere(), SimpleNamespace(fileids=list))


def _wordnet_file(folder: Path, name: str) -> str:
    path = folder / name
    if name == "lexnames" and not path.is_file():
        rows = ((at, lex, PARTS[lex.partition(".")[0]]) for at, lex in enumerate(LEXNAMES))
        return "".join(f"{at:02d}\t{lex}\t{part}\n" for at, lex, part in rows)
    return path.read_text("utf-8")


TAGGERS = "taggers/averaged_perceptron_tagger"


def has_tagger() -> bool:
    """Is there an English part-of-speech tagger, with the map from its tags to universal ones?"""
    return (nltk_has(f"{TAGGERS}_eng") or nltk_has(TAGGERS)) and nltk_has("taggers/universal_tagset")


@functools.cache
def pos_tag() -> Callable[..., Any]:
    """NLTK's `pos_tag`, also on the pickled tagger that older NLTK data holds.  LookupError where there is none."""
    import nltk

    if nltk_has(f"{TAGGERS}_eng"):
        return nltk.pos_tag  # type: ignore[no-any-return]
    from nltk.tag.mapping import map_tag
    from nltk.tag.perceptron import PerceptronTagger

    tagger = PerceptronTagger(load=False)
    path = str(nltk.data.find(f"{TAGGERS}/averaged_perceptron_tagger.pickle"))
    with open(path, "rb") as file:
        tagger.model.weights, tagger.tagdict, tagger.classes = _Plain(file).load()
    tagger.model.classes = tagger.classes

    def tag(words: list[str], tagset: str | None = None, lang: str = "eng") -> list[tuple[str, str]]:
        tagged = tagger.tag(words)
        return [(word, map_tag("en-ptb", tagset, name)) for word, name in tagged] if tagset else tagged

    return tag


class _Plain(pickle.Unpickler):
    """Reads numbers, texts, dicts and sets: no code comes with the data."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("builtins", "set"), ("__builtin__", "set")}:
            return set
        raise pickle.UnpicklingError(f"this tagger file names {module}.{name}; a tagger holds only numbers and texts")


def homoglyphs() -> str:
    """Our look-alike letters in the form of Unicode's intentional.txt, which TextAttack reads but does not ship."""
    from audit.kit.perturb.homoglyphs import HOMOGLYPHS

    rows = [(letter, other) for letter, others in HOMOGLYPHS.items() for other in others]
    return "".join(f"{ord(a):04X} ; {ord(b):04X} # ( {a} ~ {b} )\n" for a, b in rows)


def cache_folder() -> Path:
    """Where TextAttack keeps what it has downloaded."""
    return Path(os.environ.get("TA_CACHE_DIR", "") or "~/.cache/textattack").expanduser()
