"""Statements for an SQLite file, read from standard input as JSON: its clock is that of this process.

`python -m bench.execute FILE`; prints the rows of the last one as JSON.
"""

import json
import sqlite3
import sys


def execute(file: str, statements: list[tuple[str, list[object]]]) -> list[dict[str, object]]:
    """All in one transaction; the rows of the last."""
    rows: list[dict[str, object]] = []
    with sqlite3.connect(file, timeout=30) as connection:
        for statement, values in statements:
            cursor = connection.execute(statement, values)
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return rows


if __name__ == "__main__":
    print(json.dumps(execute(sys.argv[1], json.load(sys.stdin))))
