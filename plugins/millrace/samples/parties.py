"""Travelling parties of the Titanic sample: who shares a class, a port, a ticket and a cabin.

Shares by class are rounded from the real file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.samples.draws import pick, texts
from millrace.samples.names import MEN, SURNAMES

type Numbers = NDArray[np.float64]
type Whole = NDArray[np.intp]

MAN, WOMAN, COUPLE, MOTHER, FATHER, SIBLINGS = range(6)
# Kind, members, and the passengers in such parties per 1,000 of class 1, 2 and 3.
PARTIES = [
    (MAN, 1, 350, 400, 550), (WOMAN, 1, 165, 180, 120),
    (COUPLE, 2, 215, 125, 55), (COUPLE, 3, 60, 70, 25), (COUPLE, 4, 40, 55, 24),
    (COUPLE, 5, 15, 10, 26), (COUPLE, 6, 20, 5, 32), (COUPLE, 7, 0, 0, 26),
    (COUPLE, 8, 0, 0, 14), (COUPLE, 11, 0, 0, 12),
    (MOTHER, 2, 55, 50, 34), (MOTHER, 3, 10, 25, 22), (FATHER, 2, 35, 35, 20),
    (SIBLINGS, 2, 25, 30, 28), (SIBLINGS, 3, 10, 15, 12),
]  # fmt: skip
CLASS_SHARE = np.array([0.242, 0.207, 0.551])
PORTS = texts(["C", "Q", "S"])
PORT_SHARE = [[0.397, 0.010, 0.593], [0.092, 0.016, 0.892], [0.134, 0.147, 0.719]]

PREFIXES = texts(["", "PC ", "C.A. ", "SC/PARIS ", "S.O.C. ", "W./C. ", "A/5 ", "STON/O 2. "])
PREFIX_SHARE = [
    [70, 28, 0, 1, 0, 1, 0, 0], [64, 0, 14, 8, 8, 4, 0, 2], [76, 0, 5, 0, 0, 4, 8, 7],
]  # fmt: skip
DECKS = texts(list("ABCDEFG"))
DECK_SHARE = [[10, 28, 36, 15, 11, 0, 0], [0, 0, 0, 25, 25, 50, 0], [0, 0, 0, 0, 25, 40, 35]]

# Fares in pence (240 to the pound): common fares of one person, and the median for families.
# A fare stands for a part of the ship, and some parts were luckier (logit of survival).
SINGLE_FARES = np.array([
    [6240, 6372, 6653, 7128, 7200, 7320, 7440, 8520],
    [2520, 2520, 3120, 3120, 3120, 3000, 2964, 6240],
    [1692, 1735, 1860, 1866, 1895, 1895, 1902, 1932],
])  # fmt: skip
FARE_LUCK = np.array([
    [-1.2, 0.8, 0.4, -0.6, -1.0, 1.2, -0.6, 1.0],
    [-0.6, -0.6, 0.6, 0.6, 0.6, -0.8, -0.2, 0.4],
    [-1.0, 0.4, 0.8, -1.0, -1.6, -1.6, 2.0, -0.4],
])  # fmt: skip
FAMILY_FARE = np.array([10_500, 3_100, 1_850])
FARE_SPREAD = np.array([0.40, 0.25, 0.12])
HIGHEST_FARE = 122_959


@dataclass(frozen=True)
class Parties:
    """Parties, one entry of each array for each; `pclass` counts 0, 1, 2."""

    kind: Whole
    size: Whole
    pclass: Whole
    port: Whole
    pence: Whole
    luck: Numbers
    ticket: NDArray[np.object_]
    cabin: NDArray[np.object_]
    surname: Whole
    man: Whole
    age: Numbers


def draw_parties(rng: np.random.Generator, count: int) -> Parties:
    """Draw `count` parties: their make-up first, then what all members have in common."""
    table = np.array(PARTIES)
    weights = (CLASS_SHARE * table[:, 2:] / table[:, 1:2]).ravel()
    cell = rng.choice(len(weights), count, p=weights / weights.sum())
    row, pclass = cell // 3, cell % 3
    kind, size = table[row, 0], table[row, 1]
    port = pick(rng, PORT_SHARE, pclass)
    pence, luck = _fares(rng, kind, size, pclass, port)
    age = _head_ages(rng, pclass, has_children=size > np.select([kind == COUPLE], [2], 1))
    return Parties(
        kind, size, pclass, port, pence, luck,
        ticket=_tickets(rng, pclass, pence),
        cabin=_cabins(rng, pclass, size),
        surname=rng.integers(0, len(SURNAMES), count),
        man=rng.integers(0, len(MEN), count),
        age=age,
    )  # fmt: skip


def _fares(
    rng: np.random.Generator, kind: Whole, size: Whole, pclass: Whole, port: Whole
) -> tuple[Whole, Numbers]:
    """Fare of the whole ticket in pence, and the luck that went with it.

    A few men who worked for the line paid nothing.
    """
    count = len(size)
    common = rng.integers(0, SINGLE_FARES.shape[1], count)
    dear = (pclass == 0) & (rng.random(count) < 0.4)
    family = (size > 1) | dear
    noise = rng.normal(0, 1, count)
    median = np.where(dear, 1.2, 1) * FAMILY_FARE[pclass] * size**0.85
    fare = np.where(
        family, median * np.exp(noise * FARE_SPREAD[pclass]), SINGLE_FARES[pclass, common]
    )
    fare = fare * np.where((pclass == 0) & (port == 0), 1.25, 1)
    free = (kind == MAN) & (port == 2) & (rng.random(count) < 0.05)
    pence = np.where(free, 0, np.clip(np.rint(fare), 963, HIGHEST_FARE)).astype(int)
    return pence, np.select([free, family], [-1.5, 0.5 * noise], FARE_LUCK[pclass, common])


def _head_ages(rng: np.random.Generator, pclass: Whole, has_children: NDArray[np.bool_]) -> Numbers:
    """Age in years of the first member of each party: log-normal, older in the upper classes."""
    median = np.array([40.5, 31.5, 27.5])[pclass]
    age: Numbers = np.clip(median * np.exp(rng.normal(0, 0.34, len(pclass))), 14, 80)
    return np.where(has_children, np.maximum(age, 22), age)


def _tickets(rng: np.random.Generator, pclass: Whole, pence: Whole) -> NDArray[np.object_]:
    """Different ticket numbers that begin with the class, some with the prefix of an office."""
    span = 10 ** max(5, len(str(2 * len(pclass))))
    number = (pclass + 1) * span + rng.choice(span, len(pclass), replace=False)
    prefix = PREFIXES[pick(rng, PREFIX_SHARE, pclass)]
    ticket: NDArray[np.object_] = prefix + texts(list(map(str, number.tolist())))
    ticket[(pence == 0) & (pclass == 2)] = "LINE"
    return ticket


def _cabins(rng: np.random.Generator, pclass: Whole, size: Whole) -> NDArray[np.object_]:
    """A cabin such as `C23`, or two of them for a first-class party of three or more."""
    deck = DECKS[pick(rng, DECK_SHARE, pclass)]
    number = rng.integers(2, 127, len(pclass))
    numbers = texts([str(value) for value in range(130)])
    cabin: NDArray[np.object_] = deck + numbers[number]
    large = (pclass == 0) & (size >= 3)
    cabin[large] += " " + deck[large] + numbers[number[large] + 2]
    return cabin
