import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { machineName } from './machine-folders.ts';
import { processorTime } from './process-use.ts';
import { SoapSession } from './soap-session.ts';
import type { Subject } from './subject.ts';

const connections = 8;
/** Tasks that may be unfinished, so that the server's queue is never empty and never long. */
const mostUnfinished = 200;
/** Milliseconds without a machine more after which it is given up. */
const patience = 20_000;

export interface Registration {
  readonly perSecond: number;
  /** Microseconds of processor time that the server took for each machine. */
  readonly processorPerMachine: number;
  /** Machines a second in the last tenth: less than overall where the work grows with the inventory. */
  readonly perSecondAtEnd: number;
}

/** Registers the folders of `machine-folders.ts` by RegisterVM_Task. */
export async function registerMachines(subject: Subject, datastore: string, count: number): Promise<Registration> {
  const session = await SoapSession.open(subject.address, connections);
  try {
    const processor = processorTime(subject.pid);
    const begun = performance.now();
    let called = 0;
    let registered = 0;
    let lastTenthAt = begun;
    const callAll = async () => {
      while (called < count) {
        if (called - registered >= mostUnfinished) {
          await sleep(5);
          continue;
        }
        const name = machineName(called);
        called += 1;
        await session.call(
          '<RegisterVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this>' +
            `<path>[${datastore}] ${name}/${name}.vmx</path><asTemplate>false</asTemplate>` +
            '<pool type="ResourcePool">ha-root-pool</pool></RegisterVM_Task>',
        );
      }
    };
    const watch = async () => {
      let movedAt = performance.now();
      while (registered < count) {
        await sleep(20);
        const now = await registeredMachines(subject);
        if (now > registered) movedAt = performance.now();
        else if (performance.now() - movedAt > patience) throw new Error(`only ${now} of ${count} were registered`);
        registered = now;
        if (registered < count * 0.9) lastTenthAt = performance.now();
      }
    };
    await Promise.all([...Array.from({ length: connections }, callAll), watch()]);
    const end = performance.now();
    return {
      perSecond: (count / (end - begun)) * 1000,
      perSecondAtEnd: ((count / 10) * 1000) / (end - lastTenthAt),
      processorPerMachine: (processorTime(subject.pid) - processor) / count,
    };
  } finally {
    session.close();
  }
}

function registeredMachines(subject: Subject): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${subject.address.url}/healthz`, { rejectUnauthorized: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('error', reject);
      response.on('end', () => {
        const { machines } = JSON.parse(text) as { machines: { registered: number } };
        resolve(machines.registered);
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
