import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Hypervisor,
  HypervisorError,
  type HypervisorErrorCode,
  type MachineEvent,
  type RunningMachine,
  type StartRequest,
} from '../hypervisor.ts';

const eventTimeoutMs = 180_000;

export async function adopted(hypervisor: Hypervisor, request: StartRequest): Promise<RunningMachine> {
  const machine = await hypervisor.adopt(request);
  assert.ok(machine, 'the machine runs and was not found');
  return machine;
}

export async function rejects(promise: Promise<unknown>, code: HypervisorErrorCode): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof HypervisorError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

export interface EventRecord {
  readonly all: MachineEvent[];
  /** The next event of a kind that was not waited for yet. */
  wait<Kind extends MachineEvent['kind']>(kind: Kind): Promise<MachineEvent & { kind: Kind }>;
}

export function record(machine: RunningMachine): EventRecord {
  const all: MachineEvent[] = [];
  let seen = 0;
  let wake: (() => void) | undefined;
  machine.subscribe((event) => {
    all.push(event);
    wake?.();
  });
  return {
    all,
    async wait(kind) {
      const deadline = performance.now() + eventTimeoutMs;
      for (;;) {
        const index = all.findIndex((event, position) => position >= seen && event.kind === kind);
        if (index >= 0) {
          seen = index + 1;
          return all[index] as MachineEvent & { kind: typeof kind };
        }
        assert.ok(performance.now() < deadline, `no event ${kind}; there were ${JSON.stringify(all)}`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), sleep(500)]);
      }
    },
  };
}

/** The end of a machine that is being suspended; undefined when it runs. */
export async function endOrSilence(machine: RunningMachine): Promise<MachineEvent | undefined> {
  const events = record(machine);
  for (let waited = 0; waited < 100 && machine.state === 'paused'; waited += 1) await sleep(100);
  await sleep(300);
  return events.all.find(({ kind }) => kind === 'ended');
}

export async function untilAgent(machine: RunningMachine): Promise<void> {
  for (let waited = 0; waited < 100 && !(await machine.guestFacts()); waited += 1) await sleep(100);
}
