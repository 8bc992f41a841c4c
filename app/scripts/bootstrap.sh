#!/bin/sh
# Recreate the local database: drop it if it exists, create it, migrate it, and load demo data.
# Usage: scripts/bootstrap.sh [--yes] POSTGRES_USER      --yes: do not ask before dropping
set -eu
cd "$(dirname "$0")/.."

refuse() {
    echo "$1" >&2
    exit 1
}

ask=true
[ "${1:-}" != --yes ] || { ask=false; shift; }
case "$#-${1:-}" in
1-[!-]*) ;;
*) refuse "Usage: scripts/bootstrap.sh [--yes] POSTGRES_USER" ;;
esac

export DJANGO_SETTINGS_MODULE="${DJANGO_SETTINGS_MODULE:-config.django.local}"
case "$DJANGO_SETTINGS_MODULE" in
config.django.local | config.django.test) ;;
*) refuse "DJANGO_SETTINGS_MODULE is $DJANGO_SETTINGS_MODULE: this drops a database, so it runs only with config.django.local." ;;
esac

python -c 'import django' 2>/dev/null || refuse "Django is not installed here: activate the virtual environment first."
# What Django connects to. Where its settings are silent, libpq's own variables apply to both.
connection=$(python -c '
from shlex import quote
from django.conf import settings
for key in ("HOST", "PORT", "USER", "PASSWORD"):
    if value := settings.DATABASES["default"].get(key):
        print(f"export PG{key}={quote(str(value))}")
print("export PGDATABASE=" + quote(settings.DATABASES["default"]["NAME"]))
') || exit 1
unset PGUSER
eval "$connection"
[ "${PGUSER:=$1}" = "$1" ] || refuse "DATABASE_URL connects as $PGUSER, not as $1: write the same role in both."
export PGUSER PGCONNECT_TIMEOUT=5

case "$PGDATABASE" in
postgres | template[01]) refuse "DATABASE_URL names the database $PGDATABASE, which belongs to PostgreSQL itself: name one of your own." ;;
esac

how="Make the role with \`sudo -u postgres createuser --createdb $PGUSER\`; for a server elsewhere, or with a password, set PGHOST, PGPORT and PGPASSWORD."
creates=$(psql --no-password --dbname=postgres --tuples-only --no-align \
    --command='SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user' 2>&1) ||
    refuse "PostgreSQL does not let $PGUSER in ($creates). $how"
[ "$creates" = t ] || refuse "The role $PGUSER may not create databases. $how"

# On standard input, where psql quotes the name itself.
exists=$(echo "SELECT 1 FROM pg_database WHERE datname = :'name'" |
    psql --no-password --dbname=postgres --tuples-only --no-align --set=name="$PGDATABASE")

if [ -n "$exists" ] && $ask; then
    [ -t 0 ] || refuse "This drops the database $PGDATABASE, and there is no terminal to ask on: add --yes."
    printf 'Drop the database %s on %s, with all that is in it? Type yes: ' "$PGDATABASE" "${PGHOST:-this machine}"
    read -r answer
    [ "$answer" = yes ] || refuse "Nothing was changed."
fi

if [ -n "$exists" ]; then
    error=$(dropdb --no-password --force "$PGDATABASE" 2>&1) ||
        refuse "PostgreSQL does not let $PGUSER drop the database $PGDATABASE ($error). Ask its owner to."
fi
createdb --no-password "$PGDATABASE"
python manage.py migrate --verbosity 0
# Not inside echo, which would hide a failure.
users=$(python manage.py users_load 1000)
echo "Demo users: $users"
if [ -n "${ADMIN_PASSWORD:-}" ]; then
    outcome=$(python manage.py user_ensure_admin --email admin@example.com)
    echo "Administrator admin@example.com: $outcome"
else
    echo "To make an administrator: python manage.py user_ensure_admin --email admin@example.com"
fi
