"""Print as JSON what the running release's Django knows of its state: migrations to come, lengths of queues.

It comes over standard input to `python -`, in the project's folder, as the project's user: a release that is older than
the playbook can be asked too. One start of Django answers both questions, and neither answer waits for the other.
"""

import contextlib
import io
import json
import os
import sys


def pending():
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def queues():
    """What the project's own command says; None where it has none."""
    from django.core.management import call_command, get_commands

    if "tasks_status" not in get_commands():
        return None
    said = io.StringIO()
    call_command("tasks_status", "--json", stdout=said)
    return json.loads(said.getvalue())


def main():
    # The answer alone goes to standard output, whatever the project prints.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    import django

    django.setup()
    found = {"pending": None, "problem": None, "queues": None}
    try:
        found["pending"] = pending()
    except Exception as error:
        found["problem"] = (str(error).strip() or type(error).__name__).splitlines()[0]
    with contextlib.suppress(Exception):
        found["queues"] = queues()
    print(json.dumps(found), file=answer, flush=True)


if __name__ == "__main__":
    main()
