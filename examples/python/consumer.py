"""Keeps the table products of a SQLite file equal to that of Postgres: what a consumer of KafkaSync becomes.

An error ends it. Nothing is committed then, so whoever starts it again has the same messages again.
"""

import json
import os
import signal
import sqlite3
import time

import psycopg
from confluent_kafka import Consumer, KafkaException


def read(record):
    """What a message says: the operation, the row's id, and its version. A twin repairs what its message was too early for."""
    if record.error():
        raise KafkaException(record.error())
    headers = dict(record.headers())
    version = 2 * int(headers["seq"]) + ("delayed" in headers)
    return headers["op"].decode(), json.loads(record.value())["id"], version


def load(primary, ids):
    """The rows that exist, from the primary: what it has counts, not what a message says."""
    rows = primary.execute("SELECT id, name, price::text FROM products WHERE id = ANY(%s)", [list(ids)])
    return {id: {"name": name, "price": price} for id, name, price in rows}


def apply(records, primary, store):
    messages = [read(record) for record in records]
    # Each row once, with its highest version.
    versions, gone = {}, set()
    for op, id, version in messages:
        if op != "t" and version >= versions.get(id, 0):
            versions[id] = version
            (gone.add if op == "d" else gone.discard)(id)
    rows = load(primary, versions)
    # Postgres sends a commit to the readers of its log a moment before others see it.
    if early := versions.keys() - rows.keys() - gone:
        time.sleep(0.1)
        rows |= load(primary, early)
    with store:  # one transaction
        for id, version in versions.items():
            row = json.dumps(rows[id]) if id in rows else None  # a deleted row keeps its version
            store.execute(
                "INSERT INTO products VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET row = excluded.row, version = excluded.version WHERE version <= excluded.version",
                (id, row, version),
            )
        # Afterwards: what was loaded for an older message may be from before the truncate.
        for op, _, version in messages:
            if op == "t":
                store.execute("UPDATE products SET row = NULL, version = ? WHERE version < ?", (version, version))


def main():
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    signal.signal(signal.SIGINT, lambda *_: ended.append(True))
    primary = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    store = sqlite3.connect(os.environ["STORE"])
    store.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, row TEXT, version INTEGER NOT NULL)")
    consumer = Consumer({
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        "group.id": os.environ["GROUP"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })
    consumer.subscribe([os.environ["TOPIC"]])
    while not ended:
        records = consumer.consume(num_messages=1000, timeout=0.2)
        if records:
            apply(records, primary, store)
            consumer.commit(asynchronous=False)
    consumer.close()
    store.close()


main()
