"""What is hidden in a long text and how it is asked for: the task families of RULER, in English and Chinese.

Draws from word lists that it is given.  Knows no model and no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from audit.kit.readiness import one_of
from audit.types import Example

SAYS = {
    "en": {
        "fact": "The {what} of {who} is {value}.",
        "ask": "Question: What is the {what} of {who}? Answer: The {what} of {who} is",
        "also": "One {what} of {who} is {value}.",
        "ask_all": "Question: Name every {what} of {who} in the text. Answer: They are",
        "ask_some": "Question: What is the {what} of each of {who}? Answer: They are, in this order,",
        "assign": "The value of {who} is set to {value}.",
        "copy": "The value of {who} is set to that of {value}.",
        "ask_names": "Question: Which variables have the value {value} by the end of the text? Answer: They are",
        "words": "Question: Which {count} words stand most often in the list? Answer: They are",
        "pair": '"{who} {thing}": "{value}"',
        "ask_pair": 'Question: What is the value of "{who} {thing}"? Answer: The value of "{who} {thing}" is "',
        "ask_document": "Question: {question} Answer: {stem}",
    },
    "zh": {
        "fact": "{who}的{what}是{value}。",
        "ask": "问：{who}的{what}是什么？答：{who}的{what}是",
        "also": "{who}的一个{what}是{value}。",
        "ask_all": "问：文中{who}的每一个{what}是什么？答：它们是",
        "ask_some": "问：{who}的{what}依次是什么？答：它们依次是",
        "assign": "把{who}的值设为{value}。",
        "copy": "把{who}的值设为与{value}相同。",
        "ask_names": "问：到文末，哪些变量的值是{value}？答：它们是",
        "words": "问：列表中出现次数最多的{count}个词是什么？答：它们是",
        "pair": '"{who}{thing}": "{value}"',
        "ask_pair": '问："{who}{thing}"的值是什么？答："{who}{thing}"的值是"',
        "ask_document": "问：{question}答：{stem}",
    },
}
FILLED = ("single", "multi_key", "multi_value", "multi_query", "variable_tracking", "qa")
COUNTED = ("common_words", "frequent_words")
Row = Mapping[str, str]
Task = tuple[list[tuple[float, str]], str, list[str], int]
Compose = Callable[[int, str], str]

known_task = one_of("task", "任务", FILLED + COUNTED, "task")


def task_of(name: str, example: Example, stream: Random, names: Sequence[str], documents: Sequence[Row]) -> Task:
    """One task of FILLED: what to plant (depth, text), the question, what the answer must name, tokens for the answer.

    `names` are people's; documents have the columns text (a question), stem, answer, document.
    """
    says, what = SAYS[example.language], example.text
    people = stream.sample(names, 8)
    values = [str(v) for v in stream.sample(range(1000, 10000), 8)]

    def fact(at: int, kind: str = "fact", who: str = "") -> tuple[float, str]:
        return stream.random(), says[kind].format(what=what, who=who or people[at], value=values[at])

    if name == "single":
        return [fact(0)], says["ask"].format(what=what, who=people[0]), values[:1], 16
    if name == "multi_key":
        return [fact(at) for at in range(8)], says["ask"].format(what=what, who=people[0]), values[:1], 16
    if name == "multi_value":
        planted = [fact(at, "also", people[0]) for at in range(4)]
        return planted, says["ask_all"].format(what=what, who=people[0]), values[:4], 48
    if name == "multi_query":
        joined = ("、" if example.language == "zh" else ", ").join(people[:4])
        return [fact(at) for at in range(4)], says["ask_some"].format(what=what, who=joined), values[:4], 48
    if name == "variable_tracking":
        return _variables(says, people, values, stream)
    gold = stream.choice(documents)
    planted = [(stream.random(), row["document"]) for row in documents]
    return planted, says["ask_document"].format(question=gold["text"], stem=gold["stem"]), [gold["answer"]], 24


def _variables(says: Row, people: Sequence[str], values: Sequence[str], stream: Random) -> Task:
    """A chain of five variables with one value, in the order of the text, among three with other values."""
    depths = sorted(stream.random() for _ in range(5))
    lines = [says["assign"].format(who=people[0], value=values[0])]
    lines += [says["copy"].format(who=people[at], value=people[at - 1]) for at in range(1, 5)]
    planted = list(zip(depths, lines, strict=True))
    noise = [(stream.random(), says["assign"].format(who=people[at], value=values[at])) for at in (5, 6, 7)]
    return planted + noise, says["ask_names"].format(value=values[0]), list(people[:5]), 48


def counting(task: str, example: Example, stream: Random, words: Sequence[str]) -> tuple[Compose, list[str], int]:
    """One task of COUNTED: how a list of so many words is made, the three that stand in it most, tokens to answer."""
    pool = list(words)
    stream.shuffle(pool)
    often, rare = pool[:3], pool[3:]
    question = SAYS[example.language]["words"].format(count=3)
    seed = stream.getrandbits(64)

    def compose(units: int, topping: str) -> str:
        if task == "common_words":  # three of four words are the common ones, in turn
            listed = [often[n % 4] if n % 4 < 3 else rare[(n // 4) % len(rare)] for n in range(units)]
        else:  # Zipf's law: the word of rank r comes about 1/r as often as the first
            ranks = [int(math.exp(Random(f"{seed}/{n}").random() * math.log(len(pool)))) for n in range(units)]
            listed = [often[n % 3] if n % 2 else pool[min(rank - 1, len(pool) - 1)] for n, rank in enumerate(ranks)]
        return ("、" if example.language == "zh" else ", ").join(listed) + topping + "\n" + question

    return compose, often, 24
