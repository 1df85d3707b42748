"""What number plates look like, country by country."""

from dataclasses import dataclass

from .arrays import Colour

WHITE: Colour = (238, 238, 234)
YELLOW: Colour = (240, 195, 40)
BLACK: Colour = (24, 24, 26)
RED: Colour = (180, 30, 35)
BLUE: Colour = (20, 60, 160)
GREEN: Colour = (20, 100, 60)
GREY: Colour = (165, 168, 168)
CREAM: Colour = (235, 225, 190)


@dataclass(frozen=True)
class Style:
    """One kind of plate: sizes in millimetres, patterns in which A is a letter, 9 a digit and / a line break."""

    name: str
    size: tuple[int, int]
    patterns: tuple[str, ...]
    grounds: tuple[Colour, ...] = (WHITE,)
    inks: tuple[Colour, ...] = (BLACK,)
    band: str = "none"
    mark: str = ""
    border: Colour | None = BLACK
    head: tuple[str, ...] = ()
    foot: tuple[str, ...] = ()
    pictorial: bool = False
    weight: float = 1.0


EUROPEAN = (520, 112)
DANISH = (504, 120)
SQUARE = (300, 205)
AMERICAN = (305, 152)
BRAZILIAN = (400, 130)

STATES = ("OHIO", "TEXAS", "CALIFORNIA", "FLORIDA", "GEORGIA", "ILLINOIS", "NEVADA", "Oregon", "Michigan", "Utah", "Idaho")
SLOGANS = ("SUNSHINE STATE", "GARDEN STATE", "dmv.gov", "THE STAR STATE", "Birthplace of Flight", "GRAND", "LAND OF LAKES")
CITIES = ("SP SAO PAULO", "RJ RIO DE JANEIRO", "PR CURITIBA", "MG BELO HORIZONTE", "BA SALVADOR", "SC JOINVILLE")

STYLES = (
    Style("dk", DANISH, ("AA 99 999",), border=RED, weight=4),
    Style("dk-eu", DANISH, ("AA 99 999",), band="left", mark="DK", border=RED, weight=4),
    Style("dk-van", DANISH, ("AA 99 999",), grounds=(YELLOW,), weight=1.5),
    Style("dk-square", (260, 210), ("AA/99 999",), border=RED, weight=1),
    Style("d", EUROPEAN, ("A AA 9999", "AAA A 999", "AA AA 99"), band="left", mark="D", weight=3),
    Style("f", EUROPEAN, ("AA-999-AA",), band="both", mark="F", weight=2),
    Style("e-i-pt", EUROPEAN, ("9999 AAA", "AA 999 AA", "99-AA-99"), band="left", mark="E", weight=2),
    Style("ro-pl-s-n", EUROPEAN, ("A 99 AAA", "AA 99 AAA", "AA 9999A", "AAA 999"), band="left", mark="RO", weight=3),
    Style("nl-l", EUROPEAN, ("99-AAA-9", "AA-999-A"), grounds=(YELLOW,), band="left", mark="NL", weight=1.5),
    Style("gb-rear", EUROPEAN, ("AA99 AAA",), grounds=(YELLOW,), band="left", mark="GB", border=None, weight=1),
    Style("gb", EUROPEAN, ("AA99 AAA",), border=None, weight=1),
    Style("b", EUROPEAN, ("9-AAA-999",), inks=(RED,), band="left", mark="B", border=RED, weight=0.7),
    Style("a-ch", EUROPEAN, ("A 9999A", "AA 999999"), border=RED, weight=1),
    Style("old", EUROPEAN, ("AA 9999", "999 AAA 99"), grounds=(BLACK, BLUE), inks=(WHITE,), border=None, weight=0.6),
    Style("square", SQUARE, ("AA/9999", "AA 99/AAA", "AA/999 AA"), band="left", mark="I", weight=1.5),
    Style("square-yellow", SQUARE, ("AA/9999", "99 AA/99"), grounds=(YELLOW,), weight=0.5),
    Style("br", BRAZILIAN, ("AAA-9999",), grounds=(GREY, GREY, (190, 190, 188)), head=CITIES, weight=3),
    Style("br-taxi", BRAZILIAN, ("AAA-9999",), grounds=(RED,), inks=(WHITE,), head=CITIES, weight=0.7),
    Style("br-square", (200, 170), ("AAA/9999",), grounds=(GREY,), head=CITIES, weight=0.6),
    Style("mercosur", BRAZILIAN, ("AAA9A99", "AA 999 AA"), band="top", mark="BRASIL", weight=1.5),
    Style(
        "us-white",
        AMERICAN,
        ("AAA 9999", "AAA 999", "9AAA999", "AA 99999"),
        inks=(BLUE, BLACK, RED, GREEN),
        head=STATES,
        foot=SLOGANS,
        border=None,
        weight=4,
    ),
    Style(
        "us-picture",
        AMERICAN,
        ("AAA 9999", "AAA 999", "999 AAA", "AA9 9AA"),
        grounds=(WHITE, CREAM, (190, 215, 235), (200, 225, 200)),
        inks=(BLUE, BLACK, RED, GREEN),
        head=STATES,
        foot=SLOGANS,
        border=None,
        pictorial=True,
        weight=5,
    ),
    Style(
        "us-plain",
        AMERICAN,
        ("AAA 9999", "AAA-9999", "999 AAA", "AA 9999", "9A9999", "AAAAAA", "AA/9999"),
        grounds=(WHITE, CREAM, GREY, (235, 205, 120), (165, 195, 225), (185, 215, 170), (225, 190, 160)),
        inks=(BLUE, BLACK, RED, GREEN, (90, 40, 30)),
        border=None,
        pictorial=True,
        weight=5,
    ),
    Style(
        "us-dark",
        AMERICAN,
        ("AAA 999", "AAA 9999", "AA 9999"),
        grounds=(BLUE, BLACK, GREEN),
        inks=(YELLOW, WHITE),
        head=STATES,
        foot=SLOGANS,
        border=None,
        weight=2,
    ),
)
"""Their weights are the shares in which they are drawn."""
