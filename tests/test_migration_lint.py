"""Which migrations are refused, on a real PostgreSQL with tables of several sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django_project import ADD, DjangoProject
from test_django_steps_postgresql import project, psql, server

__all__ = ["project", "server"]
# Each row fills a page.
FILL = """
    ALTER TABLE goods_item ALTER name SET STORAGE PLAIN;
    INSERT INTO goods_item (name) SELECT repeat('x', 7000) FROM generate_series(1, {} * 128)
"""
INDEX = 'migrations.AddIndex("item", models.Index(fields=["price"], name="goods_price"))'
CHECK = 'models.CheckConstraint(condition=models.Q(price__gt=0), name="priced")'
FILLED = 'models.CheckConstraint(condition=models.Q(price__isnull=False), name="filled")'
OWNER = 'models.ForeignKey("goods.Item", models.CASCADE, null=True, related_name="+"{})'
SHELF_FIELDS = (
    '("id", models.AutoField(primary_key=True))',
    '("item", models.ForeignKey("goods.Item", models.CASCADE, related_name="+"))',
    '("code", models.CharField(max_length=9, unique=True))',
)
SHELF = f'migrations.CreateModel("Shelf", [{", ".join(SHELF_FIELDS)}])'
LATE = 'type("Late", (migrations.RunSQL,), {"database_forwards": lambda *_: 1 / 0})("")'


def judged(project: DjangoProject, *operations: str, atomic: bool = True, **settings: str) -> list[dict[str, Any]]:
    """What is found in migrations of these operations, each of its own, behind those that the project has."""
    after = "0002_add"
    for number, operation in enumerate(operations, 3):
        name = f"{number:04}_next"
        project.migration(name, operation, after=after, atomic=atomic)
        after = name
    findings = project.take("plan", **{"LINTED_APPS": "goods", **settings})["findings"]
    return list(findings)


@pytest.fixture
def large(project: DjangoProject, server: list[str]) -> DjangoProject:
    """A project whose table has what takes a second to read."""
    project.take("migrate")
    psql(server, FILL.format(101))
    return project


def test_what_stops_writers_of_a_large_table_is_refused_with_the_way_to_write_it(large: DjangoProject) -> None:
    found = judged(
        large,
        INDEX,
        f'migrations.AddConstraint("item", {CHECK})',
        'migrations.RunSQL("ALTER TABLE goods_item ADD FOREIGN KEY (price) REFERENCES goods_item (id)")',
        'migrations.AlterField("item", "price", models.IntegerField())',
        'migrations.RunSQL("ALTER TABLE goods_item ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()")',
        'migrations.AlterField("item", "price", models.BigIntegerField())',
        f'migrations.AddField("item", "owner", {OWNER.format("")})',
    )
    wanted = [
        ("goods.0003", "AddIndexConcurrently"),
        ("goods.0004", "AddConstraintNotValid"),
        ("goods.0005", "NOT VALID and, in a migration behind it, VALIDATE CONSTRAINT"),
        ("goods.0006", "forbids NULL, which the running release may write"),
        ("goods.0006", "AddConstraintNotValid with a check that it is not NULL"),
        ("goods.0007", "fill it in batches"),
        ("goods.0008", "add a column beside it"),
        # Not its foreign key: where all is NULL there is nothing to look up.
        ("goods.0009", "AddIndexConcurrently"),
    ]
    assert [each["text"][:10] for each in found] == [name for name, _ in wanted]
    for finding, (_, way) in zip(found, wanted, strict=True):
        assert way in finding["text"]
        assert finding["refused"]
        assert "stops all who write to" in finding["text"] or "running release" in finding["text"]


def test_what_is_safe_by_design_is_not_refused(large: DjangoProject) -> None:
    large.take("reverse", TARGETS="goods=0001_initial")
    code = 'migrations.AddField("item", "code", models.CharField(max_length=9, null=True))'
    large.migration("0002_add", f"{ADD}, {code}", after="0001_initial")
    large.take("migrate")
    safe = (
        SHELF,
        ADD.replace("price", "size"),
        'migrations.AddField("item", "stock", models.IntegerField(db_default=3))',
        'migrations.AddField("item", "rank", models.IntegerField(null=True, default=3))',
        'migrations.AlterField("item", "code", models.CharField(max_length=99, null=True))',
        f'migrations.AddField("item", "owner", {OWNER.format(", db_index=False")})',
        f'AddConstraintNotValid("item", {FILLED})',
        'ValidateConstraint("item", "filled")',
        'migrations.AlterField("item", "price", models.IntegerField())',
    )
    assert judged(large, *safe) == []


def test_not_null_is_safe_where_an_earlier_release_validated_it(large: DjangoProject, server: list[str]) -> None:
    psql(server, "UPDATE goods_item SET price = 1; ALTER TABLE goods_item ADD CHECK (price IS NOT NULL)")
    assert judged(large, 'migrations.AlterField("item", "price", models.IntegerField())') == []


@pytest.mark.parametrize("data", ["migrations.RunPython(print)", 'migrations.RunSQL("DELETE FROM goods_item")'])
def test_data_behind_a_change_of_a_large_table_is_refused(large: DjangoProject, data: str) -> None:
    column = ADD.replace("price", "size")
    (finding,) = judged(large, f"{column}, {data}")
    assert finding["text"].startswith('goods.0003_next: changes "goods_item", with 10')
    assert finding["text"].endswith("make two migrations of it.")
    assert finding["refused"]
    assert judged(large, column, data) == []
    assert judged(large, f"{data}, {column}") == []


def test_an_index_with_concurrently_is_not_refused(large: DjangoProject) -> None:
    operation = INDEX.replace("migrations.AddIndex", "AddIndexConcurrently")
    assert judged(large, operation, atomic=False) == []


@pytest.mark.parametrize(("size", "found"), [(0, 0), (20, 1)])
def test_a_small_table_is_not_refused(project: DjangoProject, server: list[str], size: int, found: int) -> None:
    project.take("migrate")
    psql(server, FILL.format(size))
    findings = judged(project, INDEX)
    assert len(findings) == found
    assert not any(each["refused"] for each in findings)


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ('migrations.AddField("item", "size", models.IntegerField(default=3))', "use db_default, or null=True"),
        ('migrations.RenameField("item", "price", "cost")', "change its field's name alone, with db_column"),
        ('migrations.RenameModel("Item", "Thing")', "change its model's name alone, with db_table"),
        ('migrations.DeleteModel("Item")', "drops a table"),
        ('migrations.AlterField("item", "price", models.TextField(null=True))', "changes a type"),
        ('migrations.AlterUniqueTogether("item", {("name", "price")})', "forbids duplicates"),
        ('migrations.RunSQL("ALTER TABLE goods_item ADD COLUMN a int NOT NULL")', "give it db_default, or null=True"),
        ('migrations.RunSQL("CREATE INDEX CONCURRENTLY a ON goods_item (price)")', "set atomic = False"),
    ],
)
def test_what_breaks_the_running_release_is_refused_at_any_size(
    project: DjangoProject, operation: str, sentence: str
) -> None:
    project.take("migrate")
    (finding,) = judged(project, operation)
    assert sentence in finding["text"]
    assert finding["refused"]


@pytest.mark.parametrize("first", [ADD.replace("price", "size"), "migrations.RunPython(print)"])
def test_what_cannot_be_tried_again_is_refused(project: DjangoProject, first: str) -> None:
    project.take("migrate")
    operations = f"{first}, {INDEX.replace('migrations.AddIndex', 'AddIndexConcurrently')}"
    (finding,) = judged(project, operations, atomic=False)
    assert "goods.0003_next: has atomic = False and several statements" in finding["text"]
    assert finding["refused"]


def test_what_cannot_be_judged_is_said(project: DjangoProject) -> None:
    project.take("migrate")
    (finding,) = judged(project, LATE)
    assert finding["text"] == (
        "goods.0003_next is not judged: its SQL cannot be told before it runs (division by zero)."
    )
    (finding,) = judged(project, INDEX, SQUAWK=str(Path("missing")))
    assert finding["text"].startswith("Migrations are not judged: squawk did not run")
    assert not finding["refused"]


def test_where_no_release_runs_nothing_is_judged(large: DjangoProject) -> None:
    assert judged(large, INDEX, LINTED_APPS="") == []
