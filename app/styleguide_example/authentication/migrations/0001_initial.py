# ruff: noqa: RUF012
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("sessions", "0001_initial"),
    ]

    # PostgreSQL alters no column that a view uses: around a migration that alters those of
    # django_session, drop this view and make it again.
    operations = [
        migrations.RunSQL(
            """
            CREATE VIEW authentication_login_session AS
            SELECT left(encode(sha256(convert_to(session_key, 'UTF8')), 'hex'), 16) AS fingerprint,
                   session_data,
                   expire_date
            FROM django_session
            """,
            "DROP VIEW authentication_login_session",
        ),
        migrations.CreateModel(
            name="LoginSession",
            fields=[
                (
                    "fingerprint",
                    models.CharField(max_length=16, primary_key=True, serialize=False),
                ),
                ("session_data", models.TextField()),
                ("expire_date", models.DateTimeField(verbose_name="expires")),
            ],
            options={
                "verbose_name": "session",
                "db_table": "authentication_login_session",
                "managed": False,
            },
        ),
    ]
