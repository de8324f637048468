"""The tables of a site that has something for every sort of step."""


def tables(*, schema: str, prove: str, run_on: str = "leader") -> str:
    """A shared file and directory, a command of each sort, and a process.

    What was migrated stands in the file *schema*; the process is proved by the command *prove*.
    """
    return f"""
[shared]
files = [".env"]
dirs = ["media"]
[prepare]
commands = ["cp version prepared"]
[migrations]
kind = "command"
run_on = "{run_on}"
pending = "grep -qx $(cat version) {schema} || echo expand $(cat version)"
expand = "cat version >>{schema}"
[processes.web]
kind = "command"
rehearse = "test -f last"
reload = "sh reload"
prove = "{prove}"
[hooks]
before_switch = ["ls"]
after_switch = ["ls"]
[keep]
releases = 3
"""
