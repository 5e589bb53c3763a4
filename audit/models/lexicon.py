"""A few dozen English and Chinese sentiment words, and how a text is read with them.  Knows no model."""

from __future__ import annotations

import re


def _some(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


GOOD = _some(
    "good great excellent wonderful love loved lovely best perfect amazing happy delightful superb brilliant enjoyable",
    "enjoyed fantastic pleasant fine fresh friendly helpful charming beautiful funny clever warm tasty delicious clean",
    "comfortable quick reliable recommend impressive moving smooth thoughtful generous quiet bright easy",
)
BAD = _some(
    "bad poor terrible awful hate hated worst boring dull horrible sad disappointing disappointed waste ugly broken",
    "slow rude dirty stale weak annoying painful mess lazy cold noisy cheap useless fails failed late bland confusing",
    "wrong tedious overpriced unpleasant damaged faulty crowded shallow clumsy difficult",
)
GOOD_ZH = _some(
    "好 喜欢 棒 优秀 精彩 满意 推荐 愉快 美味 舒适 干净 热情", "感动 完美 出色 值得 新鲜 方便 漂亮 温馨 可靠 流畅 耐心"
)
BAD_ZH = _some(
    "差 讨厌 糟糕 失望 无聊 难吃 脏 冷淡 浪费 后悔 烂 慢 坏 吵", "贵 敷衍 难看 故障 破损 粗糙 卡顿 乏味 麻烦"
)
NOT = _some("not no never hardly isn't wasn't don't doesn't didn't can't won't nothing without")
NOT_ZH = "不没无别未"
VALUES = dict.fromkeys(GOOD, 1.0) | dict.fromkeys(BAD, -1.0)
VALUES_ZH = dict.fromkeys(GOOD_ZH, 1.0) | dict.fromkeys(BAD_ZH, -1.0)


def words(text: str) -> list[str]:
    """Runs of letters and digits; every Chinese character is one word."""
    return re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff_]+(?:'[^\W_]+)?", text)


def lexicon(text: str) -> float:
    """Positive minus negative words, each turned round by a negation shortly before it."""
    spoken = [word.casefold() for word in words(text)]
    total = 0.0
    for i, word in enumerate(spoken):
        if value := VALUES.get(word):
            total += -value if any(w in NOT for w in spoken[max(0, i - 3) : i]) else value
    for word, value in VALUES_ZH.items():
        at = text.find(word)
        while at >= 0:
            total += -value if any(c in NOT_ZH for c in text[max(0, at - 2) : at]) else value
            at = text.find(word, at + len(word))
    return total
