// Writes batches of two documents without end, sixteen at a time, and prints the name of each that resolved.
// The conformance suite runs this in a process of its own, and kills it.
import { writeSync } from 'node:fs';
import { importStoreDriver } from './store-driver.ts';

const [, , driver = '', folder = ''] = process.argv;
const store = await (await importStoreDriver(new URL(driver))).open(folder);
const run = process.hrtime.bigint();
let count = 0;

async function writeForever(): Promise<never> {
  for (;;) {
    const batch = `${run}-${count++}`;
    await store.transact(
      ['left', 'right'].map((half) => ({ put: { collection: 'vm', key: `${batch}/${half}`, value: batch } })),
    );
    // Synchronous: a line is out of the process before the next batch begins.
    writeSync(1, `${batch}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, writeForever));
