"""Made-up names of passengers: surnames from syllables, first names from the period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from millrace.samples.draws import texts

_STEMS = (
    "Ald Ash Beck Birk Brad Brom Cald Carl Dal Dun Elm Fair Fen Gran Hal Har Hatch Hol "
    "Ing Kel Kirk Lang Lind Lock Mar Mel Nor Oak Pem Quin Rad Rosen Ruth Sand Sel Stan "
    "Thorn Vik Wal Wex"
).split()
_ENDINGS = (
    "berg bourne bridge by combe croft dale den ell field ford gate ham holm hurst ington "
    "land ley low man more ner quist rod sen shaw son stead strom ton vale well wick wood "
    "worth"
).split()
SURNAMES = texts([stem + ending for stem in _STEMS for ending in _ENDINGS])

_MEN = (
    "Albert Alfred Anders Anton Arthur Bernard Carl Charles Cyril Daniel Edgar Edward "
    "Emil Ernest Francis Frank Fred George Gustav Harold Henry Herbert Hugh Ivan James "
    "John Joseph Karl Lawrence Leonard Louis Martin Matthew Michael Nicholas Olaf Oscar "
    "Patrick Peter Philip Ralph Richard Robert Samuel Sidney Stefan Thomas Victor Walter "
    "William"
).split()
_WOMEN = (
    "Ada Adele Agnes Alice Amelia Anna Annie Augusta Beatrice Bertha Bridget Catherine "
    "Charlotte Clara Constance Dorothy Edith Eleanor Elin Elizabeth Ellen Elsa Emily Emma "
    "Ethel Eva Florence Frances Gertrude Hanna Helen Hilda Ida Ingrid Jane Jessie Julia "
    "Kate Laura Lillian Louise Lucy Mabel Margaret Maria Marion Martha Mary Nora Rose "
    "Ruth Sarah Sofia Winifred"
).split()
_NICKNAMES = texts([f' "{name}"' for name in ("Bessie Dollie Hattie Kitty Lottie Nellie").split()])


def _given(first: list[str]) -> NDArray[np.object_]:
    """Every first name alone, three times over, and with every second name."""
    return texts(first * 3 + [f"{one} {two}" for one in first for two in first[::5]])


MEN = _given(_MEN)
WOMEN = _given(_WOMEN)


def full_names(
    rng: np.random.Generator,
    surname: NDArray[np.intp],
    title: NDArray[np.object_],
    male: NDArray[np.bool_],
    husband: NDArray[np.intp],
) -> NDArray[np.object_]:
    """Names as `Surname, Mr. First Second` and `Surname, Mrs. Husband (First Maiden)`.

    Args:
        surname: number of each passenger's surname in `SURNAMES`.
        title: `Mr`, `Mrs`, `Miss` and so on.
        male: who takes a man's name of their own.
        husband: number in `MEN` of the man in each party: its head, or the husband of a `Mrs`.
    """
    rows = len(surname)
    own = WOMEN[rng.integers(0, len(WOMEN), rows)]
    nickname = rng.random(rows) < 0.05
    own[nickname] += _NICKNAMES[rng.integers(0, len(_NICKNAMES), nickname.sum())]
    given = np.where(male, MEN[husband], own)
    married = (title == "Mrs") & (rng.random(rows) < 0.97)
    maiden = SURNAMES[rng.integers(0, len(SURNAMES), married.sum())]
    given[married] = MEN[husband[married]] + " (" + own[married] + " " + maiden + ")"
    names: NDArray[np.object_] = SURNAMES[surname] + ", " + title + ". " + given
    return names
