"""Every mistake at once, each with its place and a way out."""

import pytest

from tests.config.files import mistake, mistakes


def test_every_mistake_is_reported_at_once(written):
    lines = mistakes(
        written(
            "[build]\ncomand = 1\ntimeout_s = 0\n"
            "[processes.web]\nkind = 'systemd'\nlisten = 'x'\n"
            "[keep]\nreleases = 0\n",
            top='app = "Shop"\n',
        )
    )
    places = {line.split(" ")[0].rstrip(":") for line in lines}
    assert places == {
        "app",
        "root",
        "build.comand",
        "build.timeout_s",
        "processes.web.command",
        "processes.web.listen",
        "keep.releases",
    }


def test_a_mistake_says_where_what_was_expected_and_what_was_found(written):
    assert mistake(written('[keep]\nreleases = "5"\n')) == (
        'keep.releases (line 6): expected a whole number, found "5"'
    )


def test_a_missing_key_is_placed_at_its_table(written):
    assert mistake(written('\n[processes.web]\nkind = "systemd"\n')) == (
        "processes.web.command (line 6): expected this key, found nothing"
    )


@pytest.mark.parametrize(
    ("text", "place", "nearest"),
    [
        ('[biuld]\nsource = "git"', "biuld", "build"),
        ("[build]\noutputs = '.'", "build.outputs", "output"),
        ("[build]\nsource = 'gti'", "build.source", "git"),
        ("[hooks.local]\nbefore_swich = []", "hooks.local.before_swich", "before_switch"),
        ("[processes.web]\nkind = 'sistemd'", "processes.web.kind", "systemd"),
        ("[processes.web]\nkind = 'systemd'\ncommand = 'x'\nlisen = ''", "processes.web.lisen", "listen"),
        (
            "[processes.web]\nkind = 'systemd'\ncommand = 'x'\nscope = 'sytem'",
            "processes.web.scope",
            "system",
        ),
        (
            "[processes.web]\nkind = 'command'\nreload = 'x'\nprove = 'x'\nhealt = ''",
            "processes.web.healt",
            "health",
        ),
        ("[migrations]\nkind = 'comand'\npending = 'x'\nexpand = 'x'", "migrations.kind", "command"),
        (
            "[migrations]\nkind = 'command'\npending = 'x'\nexpand = 'x'\nrun_on = 'leeder'",
            "migrations.run_on",
            "leader",
        ),
        ("[health]\nurls = ''", "health.urls", "url"),
        ("[host.x]\nssh = 'web1'", "host", "hosts"),
        ("[hosts.x]\nssh = 'web1'\nbulid = {}", "hosts.x.bulid", "build"),
    ],
)
def test_a_misspelt_key_or_choice_gets_the_nearest_right_spelling(written, text, place, nearest):
    line = mistake(written(text))
    assert line.startswith(f"{place} (line ")
    assert line.endswith(f'did you mean "{nearest}"?')


@pytest.mark.parametrize(
    "text",
    [
        *(
            f'[processes.web]\nkind = "{kind}"\nsocket = "x"\n'
            for kind in (
                "uwsgi", "uvicorn", "granian", "hypercorn", "unit", "upstream", "docker", "php-fpm", "celery",
            )
        ),
        *(
            f'[migrations]\nkind = "{kind}"\npending = "x"\nexpand = "x"\n'
            for kind in ("django", "alembic", "sql")
        ),
    ],
)  # fmt: skip
def test_what_is_planned_is_refused_by_name(written, text):
    assert "not built yet: only " in mistake(written(text))
