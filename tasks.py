"""How we deploy: `inv --list` names the commands, deploy.toml says what and where.

A step of your own is one line between a plan and its run, in deploy and in rollback:

    plan = plan.before("publish", command("bin/warm-cache", undo="bin/cool-cache"))
    plan = plan.after("publish", command("bin/tell-the-cdn"))
    plan = plan.without("prune")
"""

from releases.commands import *  # noqa: F403  status, ps, releases, prune, doctor … : `inv --list`
from releases.recipe import command, fleet, task  # noqa: F401


@task
def deploy(
    c, host="", revision="HEAD", release=None, without="", wait="", force=False, dry_run=False, json=False,
    promote=False, abort_canary=False,
):  # fmt: skip
    """Ship a revision to every host, switch to it and prove that it runs."""
    with fleet(host, json=json, wait=wait, without=without) as hosts:
        plan = hosts.plan_deploy(
            revision, release=release, force=force, dry_run=dry_run, promote=promote, abort_canary=abort_canary
        )
        hosts.carry(plan, dry_run=dry_run)


@task
def plan(c, host="", revision="HEAD", release=None, without="", force=False, json=False):
    """Print what a deploy would do, and change nothing."""
    deploy(c, host=host, revision=revision, release=release, without=without, force=force, dry_run=True, json=json)


@task
def rollback(c, host="", to=None, without="", wait="", dry_run=False, json=False):
    """Go back to the newest proven release before this one."""
    with fleet(host, json=json, wait=wait, without=without) as hosts:
        plan = hosts.plan_rollback(to=to, dry_run=dry_run)
        hosts.carry(plan, dry_run=dry_run)
