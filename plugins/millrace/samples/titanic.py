"""Sample of the Titanic passenger list: parties who travel, and mostly live or die, together.

As in the real file, the rows are two thirds of the passengers, so that the relatives whom
`SibSp` and `Parch` count may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.samples.draws import choose, happens, shortest, texts
from millrace.samples.names import MEN, full_names
from millrace.samples.parties import (
    COUPLE,
    MOTHER,
    PORTS,
    SIBLINGS,
    WOMAN,
    Parties,
    draw_parties,
)

type Mask = NDArray[np.bool_]
type Numbers = NDArray[np.float64]
type Whole = NDArray[np.intp]

AGE_MISSING, CABIN_MISSING, PORT_MISSING = 177 / 891, 687 / 891, 2 / 891
PARTIES_PER_ROW = 1.1  # about 1.5 passengers a row, and never fewer than one
OLDEST_CHILD = np.array([24.0, 17.0, 17.0])  # by class

SURVIVAL = np.array([[4.2, 3.2, 0.25], [-0.75, -2.8, -2.4]])  # logit, by sex and class
BOY = np.array([3.0, 4.5, 1.9])  # added for boys, by class
PORT_EFFECT = np.array([0.6, 0.9, -0.2])  # added, by port
SHARPNESS = 0.92  # the higher, the less chance decides


@dataclass(frozen=True)
class People:
    """Passengers, one entry of each array for each; `party` is a position in `parties`."""

    parties: Parties
    party: Whole
    head: Mask
    child: Mask
    male: Mask
    age: Numbers
    siblings_spouses: Whole
    parents_children: Whole


def draw(rng: np.random.Generator, rows: int) -> dict[str, list[object]]:
    """Draw `rows` passengers, by column name."""
    people = _draw_people(rng, rows)
    parties, party = people.parties, people.party
    survived = happens(rng, _survival(people))
    columns = {
        "PassengerId": np.arange(1, rows + 1),
        "Survived": survived.astype(int),
        "Pclass": parties.pclass[party] + 1,
        "Name": _names(rng, people),
        "Sex": texts(["female", "male"])[people.male.astype(int)],
        "Age": _blank(shortest(people.age), _age_missing(rng, people)),
        "SibSp": people.siblings_spouses,
        "Parch": people.parents_children,
        "Ticket": parties.ticket[party],
        "Fare": shortest(np.round(parties.pence / 240, 4))[party],
        "Cabin": _blank(parties.cabin[party], ~_cabin_known(rng, people, survived)),
        "Embarked": _blank(PORTS[parties.port][party], choose(rng, np.ones(rows), PORT_MISSING)),
    }
    return {name: values.tolist() for name, values in columns.items()}


def _draw_people(rng: np.random.Generator, rows: int) -> People:
    """The members of random parties, of whom `rows` are on the list, in random order."""
    parties = draw_parties(rng, int(np.ceil(rows * PARTIES_PER_ROW)))
    everyone = np.repeat(np.arange(len(parties.size)), parties.size)
    listed = rng.permutation(len(everyone))[:rows]
    party = everyone[listed]
    place = listed - (np.cumsum(parties.size) - parties.size)[party]
    kind, size = parties.kind[party], parties.size[party]
    adults = np.select([kind == COUPLE, kind == SIBLINGS], [2, size], 1)
    child = place >= adults
    random_sex = child | (kind == SIBLINGS)
    is_man = (place == 0) & (kind != WOMAN) & (kind != MOTHER)
    return People(
        parties,
        party,
        head=place == 0,
        child=child,
        male=np.where(random_sex, rng.random(rows) < 0.5, is_man),
        age=_ages(rng, parties, party, place, child),
        siblings_spouses=np.select(
            [child, kind == SIBLINGS, kind == COUPLE], [size - adults - 1, size - 1, 1], 0
        ),
        parents_children=np.where(child, adults, size - adults),
    )


def _ages(
    rng: np.random.Generator, parties: Parties, party: Whole, place: Whole, child: Mask
) -> Numbers:
    """Ages in whole years, months for infants as in 0.75, and half years for a few adults."""
    rows = len(party)
    head = parties.age[party]
    oldest = np.clip(head - 20, 1, OLDEST_CHILD[parties.pclass[party]])
    other = np.maximum(0.9 * head + rng.normal(0, 4, rows), 15)
    age = np.select([child, place > 0], [rng.uniform(0.4, oldest), other], head)
    half = (age >= 14) & (rng.random(rows) < 0.025)
    return np.where(age < 1, np.round(np.floor(age * 12) / 12, 2), np.floor(age) + 0.5 * half)


def _survival(people: People) -> Numbers:
    """Logit of survival: sex, class, age, port, size of the family, and part of the ship."""
    parties, party = people.parties, people.party
    pclass, port = parties.pclass[party], parties.port[party]
    family = people.siblings_spouses + people.parents_children
    boy = people.male & (people.age < 13)
    logit: Numbers = SURVIVAL[people.male.astype(int), pclass] + PORT_EFFECT[port]
    logit += boy * BOY[pclass]
    logit -= np.select([boy, people.male], [0.0, 0.02], 0.012) * (people.age - 30)
    logit -= np.where(family >= 4, 2.6, 0) * (pclass == 2)
    logit += 0.3 * ((family > 0) & (family < 4) & people.male)
    logit += parties.luck[party]
    return SHARPNESS * logit


def _age_missing(rng: np.random.Generator, people: People) -> Mask:
    weight = np.array([0.15, 0.06, 0.32])[people.parties.pclass[people.party]]
    return choose(rng, np.where(people.child, weight / 2, weight), AGE_MISSING)


def _cabin_known(rng: np.random.Generator, people: People, survived: Mask) -> Mask:
    """Mostly in first class, and more often for those who lived to tell."""
    share = np.array([[0.74, 0.86], [0.03, 0.15], [0.016, 0.05]])
    known = share[people.parties.pclass[people.party], survived.astype(int)]
    return choose(rng, -np.log1p(-known), 1 - CABIN_MISSING)


def _blank(values: NDArray[np.object_], missing: Mask) -> NDArray[np.object_]:
    return np.where(missing, "", values)


def _names(rng: np.random.Generator, people: People) -> NDArray[np.object_]:
    """Names with titles; a family shares its surname, a wife bears her husband's name."""
    parties, party = people.parties, people.party
    husband = parties.man[party]
    own_name = people.male & ~people.head
    husband = np.where(own_name, rng.integers(0, len(MEN), len(party)), husband)
    return full_names(rng, parties.surname[party], _titles(rng, people), people.male, husband)


def _titles(rng: np.random.Generator, people: People) -> NDArray[np.object_]:
    kind, pclass = people.parties.kind[people.party], people.parties.pclass[people.party]
    rows = len(kind)
    single = people.child | (kind == SIBLINGS) | ((kind == WOMAN) & (rng.random(rows) < 0.7))
    title = np.where(people.male, "Mr", np.where(single, "Miss", "Mrs")).astype(object)
    title[people.male & (people.age < 13)] = "Master"
    rare = (people.age >= 24) & (rng.random(rows) < np.array([0.11, 0.11, 0.0])[pclass])
    for pattern, choices in (
        (people.male & (pclass == 0), ["Dr", "Dr", "Col", "Major", "Sir", "Don"]),
        (people.male & (pclass == 1), ["Rev", "Rev", "Rev", "Dr"]),
        (~people.male & (pclass == 0) & single, ["Mlle", "Lady", "the Countess"]),
    ):
        chosen = rare & pattern
        title[chosen] = texts(choices)[rng.integers(0, len(choices), chosen.sum())]
    return title
