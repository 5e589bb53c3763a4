"""What attack recipes lack on this machine, in both languages, and how to get it.  Reads no recipe, fetches nothing."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audit.kit import recipes_resources as resources
from audit.kit.readiness import HERE, Both, both, shown

INSTALL = 'pip install "audit[attacks]" and then pip install --no-deps textattack==0.3.11'
MASKED = both(
    "name a local masked language model with --helper mlm=FOLDER", "请用 --helper mlm=文件夹 指定本地掩码语言模型"
)


def lacks(resource: str, *, mlm: str = "") -> Both:
    """Why a resource is not here and how to get it; empty where it is."""
    if resource in ("mlm", "chinese_mlm"):
        return _masked_model(mlm) or (_chinese_vocabulary(mlm) if resource == "chinese_mlm" else HERE)
    return LACKS[resource]()


def textattack() -> Both:
    """Why TextAttack itself is not here."""
    if importlib.util.find_spec("textattack") is not None:
        return HERE
    return both(
        f"the package textattack is not installed ({INSTALL})",
        f"未安装软件包 textattack（{INSTALL.replace(' and then ', '，然后 ')}）",
    )


def given_encoder(folder: str) -> Both:
    """Why the sentence encoder that a user names cannot be used; empty where it can, or none is named."""
    if not folder or (Path(folder) / "config.json").is_file():
        return HERE
    return both(
        f"no sentence encoder in {shown(folder)} (it has no config.json): name a local one with --helper encoder=",
        f"{shown(folder)} 中没有句子编码器（缺少 config.json）：请用 --helper encoder= 指定一个本地编码器",
    )


def _masked_model(folder: str) -> Both:
    if not folder:
        return both(f"no masked language model: {MASKED['en']}", f"没有掩码语言模型：{MASKED['zh']}")
    config = Path(folder) / "config.json"
    if not config.is_file():
        return both(
            f"no masked language model in {shown(folder)} (it has no config.json): {MASKED['en']}",
            f"{shown(folder)} 中没有掩码语言模型（缺少 config.json）：{MASKED['zh']}",
        )
    found = json.loads(config.read_text("utf-8")).get("architectures") or []
    if any("MaskedLM" in each for each in found):
        return HERE
    names = ", ".join(found)
    return both(
        f"{shown(folder)} holds {names or 'a model without a named architecture'}, not a masked language model: "
        f"{MASKED['en']}",
        f"{shown(folder)} 中是 {names or '未注明架构的模型'}，不是掩码语言模型：{MASKED['zh']}",
    )


def _chinese_vocabulary(folder: str) -> Both:
    files = [Path(folder) / name for name in ("tokenizer.json", "vocab.txt")]
    text = "".join(path.read_text("utf-8") for path in files if path.is_file())
    if "这" in text and "们" in text:
        return HERE
    return both(
        f"the masked language model in {shown(folder)} knows no Chinese", f"{shown(folder)} 中的掩码语言模型不认识中文"
    )


def _wordnet() -> Both:
    ways = "apt install wordnet-base wordnet-sense-index", "python -m nltk.downloader wordnet"
    if resources.has_wordnet():
        return HERE
    return both(
        f"WordNet was found neither in NLTK's data nor in /usr/share/wordnet ({', or '.join(ways)})",
        f"NLTK 数据和 /usr/share/wordnet 中都没有找到 WordNet（{' 或 '.join(ways)}）",
    )


def _tagger() -> Both:
    how = "python -m nltk.downloader averaged_perceptron_tagger_eng universal_tagset"
    if resources.has_tagger():
        return HERE
    return both(f"no part-of-speech tagger in NLTK's data ({how})", f"NLTK 数据中没有词性标注器（{how}）")


def _cached(place: str, en: str, zh: str) -> Both:
    if (resources.cache_folder() / place).exists():
        return HERE
    where = f"$TA_CACHE_DIR/{place}" if os.environ.get("TA_CACHE_DIR") else shown(resources.cache_folder() / place)
    return both(
        f"{en} not found at {where} (TextAttack fetches it there once, with a network)",
        f"在 {where} 没有找到{zh}（联网时 TextAttack 会下载一次到该处）",
    )


def _package(name: str, en: str, zh: str) -> Both:
    if importlib.util.find_spec(name):
        return HERE
    return both(f"{en} needs the package {name}, which is not installed", f"{zh}需要软件包 {name}，但未安装")


def _language_model() -> Both:
    place = "constraints/semantics/language-models/alzantot-goog-lm"
    return _package("tensorflow", "the one-billion-words language model", "十亿词语言模型") or _cached(
        place, "its weights", "该语言模型的权重"
    )


def _entities() -> Both:
    how = 'a separate environment with pip install "audit[attacks-full]", and its model ner'
    if importlib.util.find_spec("flair"):
        return HERE
    return both(
        f"the named-entity and word-class models of flair are not here ({how})",
        '没有 flair 的命名实体与词性模型（需要另建环境并 pip install "audit[attacks-full]"，以及其模型 ner）',
    )


def _word_classes() -> Both:
    return HERE if importlib.util.find_spec("flair") else _tagger()


def _gpt2() -> Both:
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache("gpt2", "config.json"), str):
        return HERE
    return both(
        "the language model gpt2 is not in the Hugging Face cache (hf download gpt2)",
        "Hugging Face 缓存中没有语言模型 gpt2（hf download gpt2）",
    )


def _hownet() -> Both:
    how = "python -c 'import OpenHowNet; OpenHowNet.download()'"
    if (Path.home() / ".openhownet" / "resources" / "HowNet_dict_complete").is_file():
        return HERE
    return both(f"HowNet's dictionary is not here ({how})", f"没有知网（HowNet）词典（{how}）")


def _homophones() -> Both:
    spec = importlib.util.find_spec("textattack")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("textattack")
    if (folder / "shared" / "chinese_homophone_char.txt").is_file():
        return HERE
    return both(
        "TextAttack's wheel lacks its table of Chinese homophones (a checkout of its repository has it)",
        "TextAttack 的安装包不含中文同音字表（其代码仓库中有）",
    )


def _encoder() -> Both:
    return both(
        "no sentence encoder (Universal Sentence Encoder, SBERT): --helper encoder=FOLDER names a local one",
        "没有句子编码器（Universal Sentence Encoder、SBERT）：可用 --helper encoder=文件夹 指定本地编码器",
    )


LACKS: dict[str, Callable[[], Both]] = {
    "wordnet": _wordnet,
    "tagger": _tagger,
    "vectors": partial(_cached, "word_embeddings/paragramcf", "counter-fitted word vectors", "反拟合词向量"),
    "sememes": partial(
        _cached, "transformations/hownet/word_candidates_sense.pkl", "HowNet's word candidates", "知网候选词表"
    ),
    "learned_lm": partial(
        _cached, "constraints/grammaticality/language-models/learning-to-write", "a language model", "语言模型"
    ),
    "language_model": _language_model,
    "entities": _entities,
    "merging": _word_classes,
    "word_classes": _word_classes,
    "gpt2": _gpt2,
    "hownet": _hownet,
    "homophones": _homophones,
    "encoder": _encoder,
}
