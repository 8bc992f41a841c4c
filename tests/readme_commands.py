"""Where each command of README.md is run, so that none can rot: `command: place`.

A place is a file that contains the command word for word, or `file::function` for a test that carries it out.
"""

COMMANDS = {
    "make up": ".ci/run",
    "make test": ".ci/run",
    "make down": ".ci/run",
}
