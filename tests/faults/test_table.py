"""The table says what a run has seen, and leaves open what it has not."""

from tests.faults.table import BROKEN, text


def test_the_table_has_a_cell_for_each_row_that_ran() -> None:
    """And counts those that broke a promise."""
    said = text(7, {"deploy-publish-cut": "old 12", "rollback-reload_web-cut": BROKEN, "a row of before": BROKEN})
    assert "2 rows, 1 of them break a promise" in " ".join(said.split())
    assert "`make faults SEED=7`" in said
    deploy, rollback = (said.split("\n## ")[i] for i in (1, 2))
    (line,) = (line for line in deploy.splitlines() if line.startswith("| publish |"))
    names = next(line for line in deploy.splitlines() if line.startswith("| step |")).split(" | ")
    assert line.split(" | ")[names.index("cut")] == "old 12"
    assert "old 12" not in rollback
    assert BROKEN in rollback


def test_the_table_has_a_section_for_hosts_that_are_switched_off() -> None:
    """Its rows are steps, its columns commands, some of which lack a step."""
    said = text(7, {"deploy-start_web-off": "old 12", "rollback-start_web-off": BROKEN})
    assert "2 rows, 1 of them break a promise" in " ".join(said.split())
    section = said.split("\n## ")[-1]
    assert "| step | deploy | rollback |" in section
    assert f"| start web | old 12 | {BROKEN} |" in section
    assert "| verify | – |  |" in section
    assert "--seed 7 -k deploy-publish-off" in section
