import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Bed } from './clients/bed/bed.ts';
import type { Outcome } from './clients/bed/case.ts';
import { clientLanes, testClients } from './clients/bed/clients.ts';
import { failureText, tableOf } from './clients/bed/report.ts';
import { openBed, runClients } from './clients/bed/run-bed.ts';

/** Every case takes a quarter of an hour; else the quick and telling ones. */
const quick = process.env.HYPOSTYLE_WHOLE === undefined;
/** Of one client at one endpoint, milliseconds. */
const timeout = quick ? 550_000 : 1_800_000;
/** Every case restarts the guest that clients share, and takes its snapshots: others wait. */
const lanes = quick ? clientLanes : [testClients];

describe("Debian's clients, at a host and at a center", { concurrency: lanes.length }, () => {
  let bed: Bed | undefined;
  const outcomes: Outcome[] = [];

  before(async () => {
    bed = await openBed();
  });
  after(async () => {
    await bed?.[Symbol.asyncDispose]();
    console.log(tableOf(outcomes, testClients));
  });

  for (const [number, lane] of lanes.entries()) {
    describe(`one after another, lane ${number + 1} of ${lanes.length}`, { concurrency: 1 }, () => {
      for (const client of lane) {
        for (const endpoint of client.endpoints) {
          const here = !quick || (client.quickAt ?? client.endpoints).includes(endpoint);
          const skip = client.missing ?? (here ? false : 'npm run test:clients has it');
          it(`${client.name} at a ${endpoint}`, { skip, timeout }, async (test) => {
            assert.ok(bed);
            const found = await runClients({ bed, clients: [client], endpoints: [endpoint], quick });
            outcomes.push(...found);
            for (const outcome of found) {
              await test.test(outcome.case, () => {
                if (!outcome.passed) assert.fail(failureText(outcome));
              });
            }
          });
        }
      }
    });
  }
});
