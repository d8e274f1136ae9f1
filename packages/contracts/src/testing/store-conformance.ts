import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { type Store, StoreConflict, type StoreRange, type StoreWrite } from '../store.ts';
import { importStoreDriver } from './store-driver.ts';

export interface StoreConformanceOptions {
  /** Names the driver in the report. */
  readonly name: string;
  /** A module that exports `open(folder: string): Promise<Store>`: the same folder, the same documents. */
  readonly driver: URL;
  /** Runs of each property. Default 40. */
  readonly runs?: number;
}

type Model = Map<string, Map<string, unknown>>;

const collections = ['vm', 'task', ''] as const;
/** Few keys, so that they meet; with all that sorts or encodes in a surprising way. */
const keys = ['', 'a', 'a/1', 'b', 'é', '\0', '\u{10000}', '\u{10ffff}', '\ue000', '\uffff', '\ud800', '\udc00'];

const key = fc.oneof(fc.constantFrom(...keys), fc.string({ unit: 'binary', maxLength: 4 }));
const collection = fc.constantFrom(...collections);
const bound = fc.option(key, { nil: undefined });

const writes: fc.Arbitrary<StoreWrite[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ put: fc.record({ collection, key, value: fc.jsonValue({ maxDepth: 2 }) }) }) },
    { weight: 2, arbitrary: fc.record({ delete: fc.record({ collection, key }) }) },
    {
      weight: 1,
      arbitrary: fc.tuple(collection, bound, bound).map(([name, from, to]) => ({
        deleteRange: { collection: name, ...given({ from, to }) },
      })),
    },
    { weight: 1, arbitrary: fc.record({ check: fc.record({ collection, key, exists: fc.boolean() }) }) },
  ),
  { maxLength: 6 },
);

const range: fc.Arbitrary<StoreRange> = fc
  .record({ from: bound, to: bound, reverse: fc.boolean(), limit: fc.option(fc.nat(5), { nil: undefined }) })
  .map((value) => given(value));

function given<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Applies a batch to the model; answers whether it held. */
function applyToModel(model: Model, batch: readonly StoreWrite[]): boolean {
  const draft: Model = new Map([...model].map(([name, documents]) => [name, new Map(documents)]));
  for (const write of batch) {
    if ('put' in write) {
      const documents = draft.get(write.put.collection) ?? new Map<string, unknown>();
      draft.set(write.put.collection, documents.set(write.put.key, JSON.parse(JSON.stringify(write.put.value))));
    } else if ('delete' in write) draft.get(write.delete.collection)?.delete(write.delete.key);
    else if ('deleteRange' in write) {
      const documents = draft.get(write.deleteRange.collection);
      for (const [each] of entriesOf(draft, write.deleteRange.collection, write.deleteRange)) documents?.delete(each);
    } else if ((draft.get(write.check.collection)?.has(write.check.key) ?? false) !== write.check.exists) return false;
  }
  model.clear();
  for (const [name, documents] of draft) model.set(name, documents);
  return true;
}

function entriesOf(model: Model, name: string, { from, to, reverse, limit }: StoreRange = {}): [string, unknown][] {
  const found = [...(model.get(name) ?? [])]
    .filter(([each]) => (from === undefined || each >= from) && (to === undefined || each < to))
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
  if (reverse) found.reverse();
  return limit === undefined ? found : found.slice(0, limit);
}

const listed = async (store: Store, name: string, wanted?: StoreRange): Promise<[string, unknown][]> =>
  (await store.list(name, wanted)).map((entry) => [entry.key, entry.value]);

async function clear(store: Store): Promise<void> {
  await store.transact(collections.map((name) => ({ deleteRange: { collection: name } })));
}

const putOf = (documentKey: string, value: unknown): StoreWrite => ({
  put: { collection: 'vm', key: documentKey, value },
});
const checkOf = (documentKey: string, exists: boolean): StoreWrite => ({
  check: { collection: 'vm', key: documentKey, exists },
});

/** Every promise of the Store contract, checked on one driver. Call it at the top of a test file. */
export function storeConformance({ name, driver, runs = 40 }: StoreConformanceOptions): void {
  describe(`Store on ${name}`, { concurrency: false }, () => {
    const folders: string[] = [];
    const newFolder = async (): Promise<string> => {
      const folder = await mkdtemp(join(tmpdir(), 'store-conformance-'));
      folders.push(folder);
      return folder;
    };
    const openIn = async (folder: string): Promise<Store> => (await importStoreDriver(driver)).open(folder);
    const withStore = async (use: (store: Store) => Promise<void>): Promise<void> => {
      const store = await openIn(await newFolder());
      try {
        await use(store);
      } finally {
        await store.close();
      }
    };
    after(async () => {
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    });

    it('answers what a map would, batch after batch, and after it is opened again', async () => {
      const folder = await newFolder();
      let store = await openIn(folder);
      try {
        await fc.assert(
          fc.asyncProperty(fc.array(fc.tuple(writes, collection, range), { maxLength: 6 }), async (steps) => {
            const model: Model = new Map();
            await clear(store);
            for (const [batch, name, wanted] of steps) {
              const held = await store.transact(batch).then(
                () => true,
                (error: unknown) => {
                  assert.ok(error instanceof StoreConflict, `rejected with ${error}`);
                  return false;
                },
              );
              assert.equal(held, applyToModel(model, batch), 'whether the batch held');
              assert.deepEqual(await listed(store, name, wanted), entriesOf(model, name, wanted));
              for (const each of keys) assert.deepEqual(await store.get(name, each), model.get(name)?.get(each));
            }
            if (steps.length % 3 === 2) {
              await store.close();
              store = await openIn(folder);
            }
            for (const name of collections) assert.deepEqual(await listed(store, name), entriesOf(model, name));
          }),
          { numRuns: runs },
        );
      } finally {
        await store.close();
      }
    });

    it('applies concurrent batches in the order of the calls, each whole or not at all', async () => {
      await withStore(async (store) => {
        await fc.assert(
          fc.asyncProperty(fc.array(writes, { minLength: 2, maxLength: 20 }), async (batches) => {
            const model: Model = new Map();
            await clear(store);
            const settled = await Promise.allSettled(batches.map((batch) => store.transact(batch)));
            const held = batches.map((batch) => applyToModel(model, batch));
            assert.deepEqual(
              settled.map((each) => each.status === 'fulfilled'),
              held,
            );
            for (const name of collections) assert.deepEqual(await listed(store, name), entriesOf(model, name));
          }),
          { numRuns: runs },
        );
      });
    });

    it('orders keys by code unit, not by code point', async () => {
      await withStore(async (store) => {
        await store.transact(keys.map((each) => putOf(each, each)));
        const ordered = [...keys].sort();
        const found = (await store.list('vm')).map((entry) => entry.key);
        assert.deepEqual(found, ordered);
        assert.ok(found.indexOf('\u{10000}') < found.indexOf('\ue000'));
        const reversed = (await store.list('vm', { reverse: true })).map((entry) => entry.key);
        assert.deepEqual(reversed, ordered.toReversed());
        const under = (await store.list('vm', { from: 'a', to: 'a\uffff' })).map((entry) => entry.key);
        assert.deepEqual(under, ['a', 'a/1']);
      });
    });

    it('rejects a failed check with the document, and leaves nothing of the batch', async () => {
      await withStore(async (store) => {
        await store.transact([putOf('old', 1)]);
        const batch: StoreWrite[] = [putOf('new', 2), { deleteRange: { collection: 'vm' } }, checkOf('old', true)];
        await assert.rejects(store.transact(batch), (error: unknown) => {
          assert.ok(error instanceof StoreConflict);
          assert.deepEqual([error.collection, error.key], ['vm', 'old']);
          return true;
        });
        assert.deepEqual(await listed(store, 'vm'), [['old', 1]]);
      });
    });

    it('lets one of many claims win, and it is the first', async () => {
      await withStore(async (store) => {
        const claims = Array.from({ length: 50 }, (_, claim) =>
          store.transact([checkOf('k', false), putOf('k', claim)]),
        );
        const settled = await Promise.allSettled(claims);
        assert.deepEqual(
          settled.flatMap((each, claim) => (each.status === 'fulfilled' ? [claim] : [])),
          [0],
        );
        assert.equal(await store.get('vm', 'k'), 0);
      });
    });

    it('shows a read what resolved before it, and never half a batch', async () => {
      await withStore(async (store) => {
        let writing = true;
        const write = async (): Promise<void> => {
          for (let round = 1; round <= 30; round++) {
            await store.transact([putOf('left', round), putOf('right', round)]);
            assert.equal(await store.get('vm', 'left'), round);
          }
        };
        const writer = write().finally(() => {
          writing = false;
        });
        let last = 0;
        while (writing) {
          const [left, right] = await store.list<number>('vm');
          assert.equal(left?.value, right?.value);
          assert.ok((left?.value ?? 0) >= last, 'reads do not go back');
          last = left?.value ?? 0;
        }
        await writer;
      });
    });

    it('refuses a value that is not JSON, and writes nothing of its batch', async () => {
      await withStore(async (store) => {
        const cycle: { self?: unknown } = {};
        cycle.self = cycle;
        for (const value of [undefined, () => 1, 1n, cycle]) {
          await assert.rejects(store.transact([putOf('first', 1), putOf('second', value)]));
        }
        assert.deepEqual(await store.list('vm'), []);
      });
    });

    it('hands out values of its own: changing one changes no document', async () => {
      await withStore(async (store) => {
        const value = { tags: ['a'] };
        const stored = store.transact([putOf('k', value)]);
        value.tags.push('b');
        await stored;
        const read = await store.get<{ tags: string[] }>('vm', 'k');
        read?.tags.push('c');
        assert.deepEqual(await store.get('vm', 'k'), { tags: ['a'] });
      });
    });

    it('keeps large documents and long lists', async () => {
      await withStore(async (store) => {
        const text = 'x'.repeat(1 << 20);
        await store.transact([putOf('large', text)]);
        assert.equal(await store.get('vm', 'large'), text);
        const many = Array.from(
          { length: 5000 },
          (_, index): StoreWrite => ({
            put: { collection: 'task', key: String(index).padStart(5, '0'), value: { index } },
          }),
        );
        await store.transact(many);
        const found = await store.list<{ index: number }>('task', { from: '00010', limit: 4000 });
        assert.equal(found.length, 4000);
        assert.deepEqual(found.at(-1), { key: '04009', value: { index: 4009 } });
      });
    });

    it('finishes what was called before close, and refuses what comes after', async () => {
      const folder = await newFolder();
      const store = await openIn(folder);
      const batches = Array.from({ length: 20 }, (_, index) => store.transact([putOf(String(index), index)]));
      await Promise.all([...batches, store.close(), store.close()]);
      await assert.rejects(store.get('vm', '1'));
      await assert.rejects(store.transact([putOf('late', 1)]));
      const again = await openIn(folder);
      assert.equal((await again.list('vm')).length, 20);
      await again.close();
    });

    it('loses no resolved batch when the process is killed in the middle of writing', async () => {
      const folder = await newFolder();
      for (const enough of [40, 150]) {
        const resolved = await writeUntilKilled(driver, folder, enough);
        const store = await openIn(folder);
        const found = new Set((await store.list('vm')).map((entry) => entry.key));
        await store.close();
        for (const batch of resolved) {
          for (const half of ['left', 'right']) assert.ok(found.has(`${batch}/${half}`), `${batch}/${half} is lost`);
        }
        // What had not resolved may be there or not, but whole.
        for (const each of found) {
          const [batch] = each.split('/');
          assert.ok(found.has(`${batch}/left`) && found.has(`${batch}/right`), `half of ${batch} is there`);
        }
      }
    });
  });
}

/** Starts a process that writes without end, kills it once `enough` batches resolved, and answers which did. */
async function writeUntilKilled(driver: URL, folder: string, enough: number): Promise<string[]> {
  const script = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
  const child = spawn(process.execPath, [script, driver.href, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const exited = once(child, 'exit');
  const resolved: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    resolved.push(line);
    if (resolved.length === enough) child.kill('SIGKILL');
  }
  await exited;
  assert.ok(resolved.length >= enough, `the writer ended early: ${complaints}`);
  assert.equal(complaints, '', 'the driver prints nothing to standard error');
  return resolved;
}
