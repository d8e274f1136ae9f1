// Owns a namespace and writes to it without end; prints the number of each batch that resolved.
import { writeSync } from 'node:fs';
import { openPostgresStore } from '../index.ts';

const [, , connection = '', namespace = ''] = process.argv;
const store = await openPostgresStore({ connection, namespace });
for (let number = 0; ; number++) {
  await store.transact([{ put: { collection: 'vm', key: String(number), value: number } }]);
  writeSync(1, `${number}\n`);
}
