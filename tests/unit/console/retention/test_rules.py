from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.__main__ import main
from console.cli import app
from console.retention.rules import DEFAULT, read
from panoveil.contracts.errors import Misconfigured

RULES = DEFAULT.read_text()


def written(folder: Path, text: str) -> Path:
    file = folder / "retention.toml"
    file.write_text(text)
    return file


def rule(data_class: str, keep: str, survey: str = "") -> str:
    named = f'survey = "{survey}"\n' if survey else ""
    return f'\n[[rule]]\nclass = "{data_class}"\nkeep = "{keep}"\n{named}'


def test_the_rules_that_come_with_panoveil_are_sound_and_say_something_of_every_class() -> None:
    rules = read(None)
    assert {one.data_class: one.keep for one in rules.rules} == {
        "raw": "30d", "stitched": "30d", "published": "forever", "archive": "2y", "quarantine": "180d", "audit": "forever",
    }  # fmt: skip


@pytest.mark.parametrize(("keep", "days"), [("30d", 30), ("2w", 14), ("2y", 730), ("0d", 0)])
def test_terms_are_days_weeks_and_years(tmp_path: Path, keep: str, days: int) -> None:
    rules = read(written(tmp_path, RULES + rule("raw", keep, "fyn-2026")))
    assert rules.of("raw", "fyn-2026").seconds == days * 86_400
    assert rules.of("raw", "jylland-2026").keep == "30d"
    assert rules.of("published", "fyn-2026").seconds is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (rule("raw", "10d"), "rules 1 and 7 overlap: both say how long raw of every survey is kept."),
        (
            rule("raw", "1d", "fyn") + rule("raw", "2d", "fyn"),
            "rules 7 and 8 overlap: both say how long raw of survey fyn is kept.",
        ),
        (rule("raw", "30"), "rule 7: keep = '30': write \"30d\""),
        (rule("raw", "-1d"), "rule 7: keep = '-1d'"),
        (rule("frames", "30d"), "rule 7: class: Input should be 'raw', 'stitched'"),
        (rule("audit", "30d", "fyn"), 'the audit chain is kept "forever"'),
        ('\n[[rule]]\nclass = "raw"\n', "rule 7: keep: Field required"),
        (rule("raw", "30d") + 'term = "1d"\n', "rule 7: term: Extra inputs are not permitted"),
        ("\n[other]\n", "must hold [[rule]] tables and nothing else"),
        ("\nkeep", "is no TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(written(tmp_path, RULES + more))
    assert said in str(caught.value)


def test_rules_that_overlap_for_a_survey_there_is_are_told_when_it_is_met(tmp_path: Path) -> None:
    rules = read(written(tmp_path, RULES + rule("raw", "1d", "fyn-*") + rule("raw", "2d", "*-2026")))
    assert rules.of("raw", "fyn-2025").keep == "1d"
    with pytest.raises(Misconfigured, match="rules 7 and 8 overlap: both say how long raw of survey fyn-2026 is kept"):
        rules.of("raw", "fyn-2026")


def test_a_class_without_a_rule_for_every_survey_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no rule for every survey says how long stitched is kept"):
        read(written(tmp_path, rule("raw", "1d")))


def test_an_absent_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        read(tmp_path / "absent.toml")


def test_the_rules_in_force_are_printed() -> None:
    assert CliRunner().invoke(app, ["retention", "rules"]).output == RULES


def test_overlapping_rules_end_a_command_with_a_sentence_and_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, RULES + rule("raw", "10d"))
    monkeypatch.setattr("sys.argv", ["panoveil", "retention", "apply", "--rules", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 78
    assert capsys.readouterr().err == f"panoveil: {file}: rules 1 and 7 overlap: both say how long raw of every survey is kept.\n"
