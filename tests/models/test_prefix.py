"""Grouping by shared beginnings is pure: every row once, never more shared than is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.models.prefix import Group, common, group

ROWS = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=80).map(tuple), min_size=1, max_size=12)


@given(ROWS, st.data())
def test_every_row_is_in_one_group_and_shares_what_it_says(rows, data):
    most = [data.draw(st.integers(0, len(row))) for row in rows]
    found = group(rows, most)
    assert sorted(i for g in found for i in g.rows) == list(range(len(rows)))
    for g in found:
        assert len({rows[i][: g.shared] for i in g.rows}) == 1
        assert all(g.shared <= most[i] for i in g.rows)


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_common(one, other):
    n = common(one, other)
    assert one[:n] == other[:n]
    assert n == min(len(one), len(other)) or one[n] != other[n]


def test_options_of_one_question_share_the_question():
    questions = [tuple(range(q, q + 100)) for q in (0, 200, 400)]
    rows = [(*q, 1000 + option) for q in questions for option in range(4)]
    found = group(rows, [100] * len(rows))
    assert sorted(g.rows for g in found) == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]
    assert {g.shared for g in found} == {100}


def test_one_haystack_with_many_questions_is_one_group():
    hay = tuple(range(1000))
    rows = [hay + (2000 + q,) * 10 + (3000 + o,) for q in range(5) for o in range(4)]
    assert group(rows, [1010] * 20)[0].shared == 1000


def test_a_short_common_template_does_not_split_longer_beginnings():
    rows = [tuple(range(20)) + (q,) * 50 + (o,) for q in (100, 200) for o in (1, 2, 3)]
    assert {(g.shared, g.rows) for g in group(rows, [70] * 6)} == {(70, (0, 1, 2)), (70, (3, 4, 5))}


def test_what_is_not_worth_it_is_left_alone():
    assert group([(1, 2, 3), (1, 2, 4)], [2, 2]) == [Group(0, (0,)), Group(0, (1,))]
    long = [tuple(range(20)) + (n,) * 500 for n in (1, 2)]
    assert all(g.shared == 0 for g in group(long, [500, 500]))
