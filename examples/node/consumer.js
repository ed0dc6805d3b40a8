// Keeps the table products of a SQLite file equal to that of Postgres: what a consumer of KafkaSync becomes.
//
// A batch that fails is not committed, and KafkaJS hands it over again.
import { setTimeout } from "node:timers/promises";
import { Kafka } from "kafkajs";
import sqlite from "node-sqlite3-wasm";
import pg from "pg";

const { DATABASE_URL, GROUP, KAFKA_BROKERS, STORE, TOPIC } = process.env;

const primary = new pg.Pool({ connectionString: DATABASE_URL });
const store = new sqlite.Database(STORE);
store.exec("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, row TEXT, version INTEGER NOT NULL)");

// What a message says: the operation, the row's id, and its version. A twin repairs what its message was too early for.
// An id above 2^53 needs `bigint: string` in the file of kafkasync.
function read({ headers, value }) {
  const version = 2n * BigInt(headers.seq.toString()) + (headers.delayed ? 1n : 0n);
  return { op: headers.op.toString(), id: JSON.parse(value).id, version };
}

// The rows that exist, from the primary: what it has counts, not what a message says.
async function load(ids) {
  const { rows } = await primary.query("SELECT id, name, price::text FROM products WHERE id = ANY($1)", [ids]);
  return new Map(rows.map(({ id, name, price }) => [Number(id), { name, price }]));
}

async function apply(messages) {
  // Each row once, with its highest version.
  const newest = new Map();
  for (const m of messages) {
    if (m.op !== "t" && !(newest.get(m.id)?.version > m.version)) newest.set(m.id, m);
  }
  let rows = await load([...newest.keys()]);
  // Postgres sends a commit to the readers of its log a moment before others see it.
  const early = [...newest.values()].filter((m) => m.op !== "d" && !rows.has(m.id)).map((m) => m.id);
  if (early.length > 0) {
    await setTimeout(100);
    rows = new Map([...rows, ...(await load(early))]);
  }
  write(newest, rows, messages.filter((m) => m.op === "t"));
}

// One transaction, without an await in it: partitions are handled side by side, over one connection.
function write(newest, rows, truncates) {
  store.exec("BEGIN");
  try {
    for (const { id, version } of newest.values()) {
      const row = rows.has(id) ? JSON.stringify(rows.get(id)) : null; // a deleted row keeps its version
      store.run(
        `INSERT INTO products VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
         SET row = excluded.row, version = excluded.version WHERE version <= excluded.version`,
        [id, row, version],
      );
    }
    // Afterwards: what was loaded for an older message may be from before the truncate.
    for (const { version } of truncates) {
      store.run("UPDATE products SET row = NULL, version = ? WHERE version < ?", [version, version]);
    }
    store.exec("COMMIT");
  } catch (err) {
    store.exec("ROLLBACK");
    throw err;
  }
}

const consumer = new Kafka({ brokers: KAFKA_BROKERS.split(",") }).consumer({ groupId: GROUP });
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1); // KafkaJS has given up: whoever starts us again makes it begin anew
});
await consumer.connect();
await consumer.subscribe({ topics: [TOPIC], fromBeginning: true });
await consumer.run({
  partitionsConsumedConcurrently: 3,
  eachBatch: ({ batch }) => apply(batch.messages.map(read)), // committed when it has returned
});

async function end() {
  await consumer.disconnect();
  await primary.end();
  store.close();
}
process.once("SIGTERM", end);
process.once("SIGINT", end);
