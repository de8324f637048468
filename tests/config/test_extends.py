"""Files that extend others."""

import re

import pytest

from tests.config.files import TOP, mistake, only


def test_an_extending_file_wins_deeply_and_lists_replace(written):
    written(
        '[build]\ncommand = "make"\nexclude = ["a", "b"]\n[keep]\nreleases = 9\n',
        top="",
        hosts="",
        name="team.toml",
    )
    path = written('[build]\nexclude = ["c"]\n', top=f'extends = "../team.toml"\n{TOP}', name="shop/deploy.toml")
    config = only(path)
    assert (config.build.command, config.build.exclude, config.keep.releases) == ("make", ("c",), 9)


def test_files_extend_along_a_chain_of_five(written):
    for number in range(1, 6):
        written(top=f'extends = "{number + 1}.toml"\n', hosts="", name=f"{number}.toml")
    written(top="[keep]\nreleases = 7\n", hosts="", name="6.toml")
    path = written(top=f'extends = "2.toml"\n{TOP}')
    assert only(path).keep.releases == 7
    path = written(top=f'extends = "1.toml"\n{TOP}')
    assert "at most 5 files" in mistake(path)


def test_a_mistake_in_an_extended_file_names_that_file(written):
    written("[keep]\nreleases = 0\n", top="", hosts="", name="team.toml")
    path = written(top=f'extends = "../team.toml"\n{TOP}', name="shop/deploy.toml")
    assert mistake(path).startswith("keep.releases (../team.toml line 2): ")


@pytest.mark.parametrize(
    ("extends", "why"),
    [
        ('"gone.toml"', 'found "gone.toml"'),
        ('"deploy.toml"', "does not extend this one"),
        ('"cycle.toml"', "does not extend this one"),
        ('"."', "a file"),
        ('"a\\u0000b"', "a file"),
        ("[]", "found a list"),
        ('"self.toml"', "a file"),
        (f'"{"x" * 5000}"', "a file"),
    ],
)
def test_extends_that_lead_nowhere_or_around_are_refused(written, extends, why):
    cycle = written(top='extends = "deploy.toml"\n', hosts="", name="cycle.toml")
    (cycle.parent / "self.toml").symlink_to("self.toml")
    line = mistake(written(top=f"extends = {extends}\n{TOP}"))
    assert re.match(r"extends \((cycle.toml )?line 1\): expected ", line)
    assert why in line
