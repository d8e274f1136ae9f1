/**
 * How fast the Store contract is on node:sqlite and on PostgreSQL, both on this machine's disk:
 *
 *     node bench/store.ts [--seconds 3] [--documents 10000] [--folder FOLDER] [--json]
 *
 * PostgreSQL is Debian's, started for the run with its usual settings, asked by its socket. The folder is where
 * SQLite's file is; PostgreSQL's is in the system's folder for temporary files.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { Store } from '@hypostyle/contracts';
import { openPostgresStore, openStore } from '@hypostyle/store';
import { PostgresServer } from '../packages/store/src/testing/postgres-server.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    documents: { type: 'string', default: '10000' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(options.seconds);
const documents = Number(options.documents);
if (!(seconds > 0)) throw new Error('--seconds takes a number above 0');
if (!(Number.isInteger(documents) && documents > 0)) throw new Error('--documents takes a number above 0');

interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly sqlite: number;
  readonly postgres: number;
}

/** About as large as what is kept of a machine. */
const document = (index: number) => ({ index, name: `machine ${index}`, text: 'x'.repeat(400) });
const keyOf = (index: number): string => String(index).padStart(8, '0');

/** Calls that were answered in a second, with so many callers at a time. */
async function rate(callers: number, call: (index: number) => Promise<unknown>): Promise<number> {
  let count = 0;
  const begun = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - begun < seconds * 1000) await call(count++);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return count / ((performance.now() - begun) / 1000);
}

/** Milliseconds of the middle one of five. */
async function duration(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 5; run++) {
    const begun = performance.now();
    await call();
    times.push(performance.now() - begun);
  }
  return times.sort((left, right) => left - right)[2] ?? Number.NaN;
}

async function measure(store: Store): Promise<Map<string, readonly [value: number, unit: string]>> {
  const figures = new Map<string, readonly [number, string]>();
  const put = (index: number) =>
    store.transact([{ put: { collection: 'vm', key: keyOf(index), value: document(index) } }]);
  await put(0);
  for (const callers of [1, 64]) {
    figures.set(`batches of one document, ${callers} at a time`, [await rate(callers, put), 'a second']);
  }
  await store.transact([{ deleteRange: { collection: 'vm' } }]);
  const all = Array.from({ length: documents }, (_, index) => ({
    put: { collection: 'vm', key: keyOf(index), value: document(index) },
  }));
  figures.set(`one batch of ${documents} documents`, [await duration(() => store.transact(all)), 'ms']);
  const get = (index: number) => store.get('vm', keyOf(index % documents));
  for (const callers of [1, 64]) figures.set(`reads, ${callers} at a time`, [await rate(callers, get), 'a second']);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  figures.set(`list of ${documents}`, [await duration(() => store.list('vm')), 'ms']);
  delay.disable();
  figures.set('longest stall of the event loop in it', [delay.max / 1e6, 'ms']);
  return figures;
}

async function measureSqlite(): Promise<Awaited<ReturnType<typeof measure>>> {
  const folder = await mkdtemp(join(options.folder, 'bench-store-'));
  try {
    const store = await openStore({ path: join(folder, 'store.db') });
    const figures = await measure(store);
    await store.close();
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measurePostgres(): Promise<Awaited<ReturnType<typeof measure>>> {
  const server = await PostgresServer.start();
  try {
    const store = await openPostgresStore({ connection: server.url });
    const figures = await measure(store);
    await store.close();
    return figures;
  } finally {
    await server.remove();
  }
}

const onSqlite = await measureSqlite();
const onPostgres = await measurePostgres();
const figures: Figure[] = [...onSqlite].map(([name, [sqlite, unit]]) => {
  return { name, unit, sqlite, postgres: onPostgres.get(name)?.[0] ?? Number.NaN };
});
if (options.json) console.log(JSON.stringify(figures, undefined, 2));
else {
  const number = (value: number): string => value.toFixed(value < 100 ? 1 : 0).padStart(12);
  console.log(`${''.padEnd(44)}${'node:sqlite'.padStart(12)}${'PostgreSQL'.padStart(12)}`);
  for (const { name, unit, sqlite, postgres } of figures) {
    console.log(`${name.padEnd(44)}${number(sqlite)}${number(postgres)}  ${unit}`);
  }
}
