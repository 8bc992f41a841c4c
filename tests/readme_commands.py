"""Where each command of a README is run, so that none can rot: `command: place`.

A place is a file that contains the command word for word, or `file::function` for a test that carries it out.
"""

# Expects this advice.
BOOTSTRAP = "app/config/tests/test_bootstrap.py::test_a_role_without_the_right_is_told_what_to_do"
# Takes its commands from the READMEs themselves.
DEVELOPMENT = "tests/local_development/test_local_development.py::visitor"
# Sends the same requests.
LOGIN = "molecule/testinfra/test_application.py::test_the_cookie_says_who_one_is"
LOGOUT = "molecule/testinfra/test_application.py::test_a_logout_ends_the_session_on_the_server"
CELERY = "molecule/testinfra/test_application.py::test_the_commands_of_the_documentation_start"

COMMANDS = {
    "make up": ".ci/run",
    "make test": ".ci/run",
    "make down": ".ci/run",
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
    "curl -b jar https://api.example.com/api/auth/me/": LOGIN,
    'curl -b jar -H "Origin: https://api.example.com" -X POST https://api.example.com/api/auth/logout/': LOGOUT,
    # examples/spa/README.md
    "npm ci": DEVELOPMENT,
    "npm run dev": DEVELOPMENT,
}
