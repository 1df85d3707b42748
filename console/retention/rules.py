"""The retention file: read, and refused with a sentence where it is ambiguous or incomplete."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from panoveil.contracts.errors import Misconfigured

DataClass = Literal["raw", "stitched", "published", "archive", "quarantine", "audit"]
DEFAULT = Path(__file__).with_name("retention.toml")
FOREVER = "forever"
_TERM = re.compile(r"([1-9][0-9]{0,4}|0)([dwy])")
_DAYS = {"d": 1, "w": 7, "y": 365}


class Rule(BaseModel):
    """How long a class of data is kept, of every survey or of those that `survey` means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_class: DataClass = Field(alias="class")
    keep: str
    survey: str | None = None

    @property
    def seconds(self) -> float | None:
        """Its term, None where it never ends."""
        term = _TERM.fullmatch(self.keep)
        return None if term is None else int(term[1]) * _DAYS[term[2]] * 86_400.0

    def means(self, survey: str) -> bool:
        """Say whether it was written for a survey by name."""
        return self.survey is not None and fnmatchcase(survey, self.survey)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a file; `numbers` count from 1 as they stand there."""

    source: Path
    rules: tuple[Rule, ...]

    def of(self, data_class: DataClass, survey: str) -> Rule:
        """Return the one rule for a class of a survey; `Misconfigured` where two mean it."""
        named = [rule for rule in self.rules if rule.data_class == data_class and rule.means(survey)]
        if len(named) > 1:
            raise self._overlap(named[0], named[1], f"survey {survey}")
        return named[0] if named else next(rule for rule in self.rules if rule.data_class == data_class and rule.survey is None)

    def _overlap(self, one: Rule, other: Rule, what: str) -> Misconfigured:
        first, second = (index + 1 for index, rule in enumerate(self.rules) if rule is one or rule is other)
        return Misconfigured(
            f"{self.source}: rules {first} and {second} overlap: both say how long {one.data_class} of {what} is kept."
        )

    def require_sound(self) -> None:
        """Raise `Misconfigured` where two rules are about the same, a class has none, or the audit chain should end."""
        for one, other in combinations(self.rules, 2):
            if (one.data_class, one.survey) == (other.data_class, other.survey):
                raise self._overlap(one, other, "every survey" if one.survey is None else f"survey {one.survey}")
        general = {rule.data_class for rule in self.rules if rule.survey is None}
        if missing := [name for name in get_args(DataClass) if name not in general]:
            raise Misconfigured(f"{self.source}: no rule for every survey says how long {missing[0]} is kept.")
        if any(rule.data_class == "audit" and rule.keep != FOREVER for rule in self.rules):
            raise Misconfigured(f'{self.source}: the audit chain is kept "forever": nothing deletes from the ledger.')


def read(source: Path | None) -> Rules:
    """Read a retention file, or the one that comes with Panoveil; `Misconfigured` says what is wrong with it."""
    file = source or DEFAULT
    rules = Rules(file, tuple(_rule(file, number, one) for number, one in enumerate(_document(file), 1)))
    rules.require_sound()
    return rules


def _document(file: Path) -> list[Mapping[str, Any]]:
    try:
        document = tomllib.loads(file.read_text())
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file} is no TOML: {error}.") from error
    rules = document.pop("rule", None)
    if document or not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise Misconfigured(f"{file} must hold [[rule]] tables and nothing else.")
    return rules


def _rule(file: Path, number: int, table: Mapping[str, Any]) -> Rule:
    try:
        rule = Rule.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Misconfigured(f"{file}: rule {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    if rule.keep != FOREVER and rule.seconds is None:
        raise Misconfigured(f'{file}: rule {number}: keep = {rule.keep!r}: write "30d", "12w", "2y" or "forever".')
    return rule
