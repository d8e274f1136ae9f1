import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { EventService } from '../events/event-service.ts';
import { allowEverything } from '../testing/calls.ts';
import { KillablePersistence } from '../testing/killable-persistence.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import type { RunningTask } from './task-kind.ts';
import type { TaskInfo } from './task-record.ts';
import { TaskService } from './task-service.ts';

const schema = loadSchema();
const settle = () => new Promise((resolve) => setImmediate(resolve));

interface Input {
  readonly name: number;
  readonly steps: number;
  readonly fails: boolean;
}

/** What the world outside saw, over all lives of the service. */
class World {
  readonly begun = new Map<number, number>();
  readonly stepsDone = new Map<number, number>();
  readonly order = new Map<string, number[]>();
}

async function live(world: World, persistence: KillablePersistence, clock: ManualClock) {
  const registry = new Registry(schema);
  const base = { registry, persistence, clock, authorizer: allowEverything };
  const events = await EventService.open(base);
  const tasks = await TaskService.open({ ...base, events, heavyLimit: 1 });
  const busy = new Set<string>();
  let heavy = 0;
  const work =
    (lane: string, isHeavy: boolean) =>
    async (task: RunningTask, { name, steps, fails }: Input) => {
      assert.ok(!busy.has(lane), 'one at a time in a lane');
      busy.add(lane);
      if (isHeavy) heavy += 1;
      assert.ok(heavy <= 1, 'heavy work is bounded');
      for (let step = (task.journaled as number | undefined) ?? 0; step < steps; step += 1) {
        await task.journal(step);
        world.stepsDone.set(name, Math.max(world.stepsDone.get(name) ?? 0, step + 1));
        await settle();
      }
      busy.delete(lane);
      if (isHeavy) heavy -= 1;
      if (fails) throw new Error('on purpose');
      return name;
    };
  for (const lane of ['a', 'b']) {
    const begin =
      (isHeavy: boolean) =>
      async (task: RunningTask, input: Input): Promise<number> => {
        world.begun.set(input.name, (world.begun.get(input.name) ?? 0) + 1);
        world.order.set(lane, [...(world.order.get(lane) ?? []), input.name]);
        return await work(lane, isHeavy)(task, input);
      };
    tasks.define<Input>(`Test.steady-${lane}`, { heavy: true, run: begin(true), resume: work(lane, true) });
    tasks.define<Input>(`Test.fragile-${lane}`, { run: begin(false) });
  }
  return { registry, tasks };
}

const planned = fc.record({
  lane: fc.constantFrom('a', 'b'),
  kind: fc.constantFrom('steady', 'fragile'),
  steps: fc.nat(3),
  fails: fc.boolean(),
});

test('however often the service is killed, no task is lost, run twice, or ends but once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(planned, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(25), { maxLength: 4 }),
      async (plan, deaths) => {
        const world = new World();
        const clock = new ManualClock();
        let disk = new KillablePersistence();
        let next = 0;
        const answered: { ref: ManagedObjectReference<'Task'>; name: number }[] = [];
        const ended = new Map<string, string>();
        for (const writes of [...deaths, Number.POSITIVE_INFINITY]) {
          disk = new KillablePersistence(disk.disk, writes);
          const opened = await Promise.race([live(world, disk, clock), disk.died]);
          if (opened === undefined) continue;
          const { registry, tasks } = opened;
          void tasks.recover();
          const starting = (async () => {
            while (next < plan.length) {
              const name = next;
              const { lane, kind, steps, fails } = plan[name]!;
              next += 1;
              const input: Input = { name, steps, fails };
              answered.push({
                ref: await tasks.start({}, { kind: `Test.${kind}-${lane}`, input, queueKey: lane }),
                name,
              });
            }
          })();
          await Promise.race([starting, disk.died]);
          const all = [...registry.all('Task')].map((object) => object.ref as ManagedObjectReference<'Task'>);
          await Promise.race([Promise.all(all.map((ref) => tasks.finished(ref))), disk.died]);
          for (const ref of all) {
            const info = registry.read(ref, 'info') as TaskInfo;
            if (info.completeTime === undefined) continue;
            const outcome = JSON.stringify([info.state, info.result, info.error?.localizedMessage, info.completeTime]);
            // What a client once saw as the end stays the end.
            assert.equal(ended.get(ref.value) ?? outcome, outcome);
            ended.set(ref.value, outcome);
          }
          for (const { ref, name } of disk.dead ? [] : answered) {
            const { kind, fails, steps } = plan[name]!;
            const info = registry.read(ref, 'info') as TaskInfo;
            const interrupted = /restarted while the task ran/.test(info.error?.localizedMessage ?? '');
            if (kind === 'steady') assert.equal(interrupted, false);
            if (!interrupted) {
              assert.equal(info.state, fails ? 'error' : 'success');
              assert.equal(world.stepsDone.get(name) ?? 0, steps, 'every step was done');
            }
          }
          tasks.close();
        }
        for (const count of world.begun.values()) assert.equal(count, 1, 'begun once');
        for (const names of world.order.values())
          assert.deepEqual(
            names,
            names.toSorted((a, b) => a - b),
          );
      },
    ),
    { numRuns: 150 },
  );
});
