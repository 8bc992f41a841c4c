"""Where each command of a README is run, so that none can rot: `command: place`.

A place is a file that contains the command word for word, or `file::function` for what carries it out: its body has the
command, or takes it from the README, or has the words that WORDS gives for it.
"""

# Expects this advice.
BOOTSTRAP = "app/config/tests/test_bootstrap.py::test_a_role_without_the_right_is_told_what_to_do"
# Takes its commands from the READMEs themselves.
DEVELOPMENT = "tests/local_development/test_local_development.py::visitor"
# Send the same requests.
LOGIN = "molecule/testinfra/support.py::login"
ME = "molecule/testinfra/test_application.py::test_the_cookie_says_who_one_is"
LOGOUT = "molecule/testinfra/test_application.py::test_a_logout_ends_the_session_on_the_server"
CELERY = "molecule/testinfra/test_application.py::test_the_commands_of_the_documentation_start"

# Types what CONTRIBUTING.md shows, and sees what would run.
CONTRIBUTING = "tests/test_make.py::test_what_is_typed_for_one_thing_runs"

COMMANDS = {
    "make up": ".ci/run",
    "make status": ".ci/run",
    "make test": ".ci/run",
    "make down": ".ci/run",
    # CONTRIBUTING.md
    "make check": ".github/workflows/ci.yml",
    ".venv/bin/pre-commit install": "tests/test_pre_commit.py::test_a_commit_is_refused_for_what_a_tool_finds",
    "make contracts K=test_source": CONTRIBUTING,
    "make unit K=test_origins": CONTRIBUTING,
    "make provision TAGS=nginx": CONTRIBUTING,
    "make verify K=maintenance": CONTRIBUTING,
    "make deploy UNCOMMITTED=yes": CONTRIBUTING,
    "make molecule SCENARIO=default STEP=create": CONTRIBUTING,
    "make molecule SCENARIO=default STEP=converge": CONTRIBUTING,
    "make molecule SCENARIO=default STEP=verify K=nginx": CONTRIBUTING,
    "make molecule SCENARIO=default STEP=destroy": CONTRIBUTING,
    # app/README.md
    "python3 -m venv .venv && . .venv/bin/activate": DEVELOPMENT,
    "pip install --require-hashes -r requirements/test.txt": DEVELOPMENT,
    "export DJANGO_SETTINGS_MODULE=config.django.local": DEVELOPMENT,
    'sudo -u postgres createuser --createdb "$USER"': BOOTSTRAP,
    'scripts/bootstrap.sh "$USER"': DEVELOPMENT,
    "python manage.py user_ensure_admin --email admin@example.com": DEVELOPMENT,
    "python manage.py runserver": DEVELOPMENT,
    "celery -A styleguide_example.tasks worker -l info --without-gossip --without-mingle --without-heartbeat": CELERY,
    "celery -A styleguide_example.tasks beat -l info": CELERY,
    'curl -c jar -H "Content-Type: application/json" -d \'{"email": "...", "password": "..."}\' '
    "https://api.example.com/api/auth/login/": LOGIN,
    "curl -b jar https://api.example.com/api/auth/me/": ME,
    'curl -b jar -H "Origin: https://api.example.com" -X POST https://api.example.com/api/auth/logout/': LOGOUT,
    # examples/spa/README.md
    "npm ci": DEVELOPMENT,
    "npm run dev": DEVELOPMENT,
}

# What the body of a place has, where it does the same as the command in other words.
WORDS = {
    'sudo -u postgres createuser --createdb "$USER"': "sudo -u postgres createuser --createdb",
    next(command for command in COMMANDS if command.endswith("/api/auth/login/")): "/api/auth/login/",
    next(command for command in COMMANDS if command.endswith("/api/auth/me/")): "/api/auth/me/",
    next(command for command in COMMANDS if command.endswith("/api/auth/logout/")): "/api/auth/logout/",
}
