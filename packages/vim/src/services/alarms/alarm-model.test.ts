import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataTypes } from '../../generated/types.ts';
import { data } from '../../schema/data.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { alarmWorld, machineOff, spec } from './testing/alarm-world.ts';

type World = Awaited<ReturnType<typeof alarmWorld>>;
type Machine = ManagedObjectReference<'VirtualMachine'>;

const poweredOn = { ...machineOff, operator: 'isUnequal' as const, red: undefined, yellow: 'poweredOff' };
const machineEvent = (eventType: string, status: 'yellow' | 'red' | 'green') =>
  data('EventAlarmExpression', { eventType, objectType: 'VirtualMachine', status });
const eventStatus: Readonly<Record<string, 'red' | 'green'>> = {
  VmGuestShutdownEvent: 'red',
  VmGuestRebootEvent: 'green',
};
const events = data('OrAlarmExpression', {
  expression: Object.entries(eventStatus).map(([type, status]) => machineEvent(type, status)),
});
const both = data('AndAlarmExpression', { expression: [machineOff, events] });
const kinds: readonly DataTypes['AlarmExpression'][] = [
  machineOff,
  data('StateAlarmExpression', poweredOn as never),
  events,
  both,
];

const operation = fc.oneof(
  fc.record({ kind: fc.constant('power' as const), machine: fc.nat(5), off: fc.boolean() }),
  fc.record({ kind: fc.constant('move' as const), machine: fc.nat(5), to: fc.nat(3), onHost: fc.boolean() }),
  fc.record({ kind: fc.constant('moveFolder' as const), to: fc.nat(1) }),
  fc.record({
    kind: fc.constant('event' as const),
    machine: fc.nat(5),
    type: fc.constantFrom(...Object.keys(eventStatus)),
  }),
  fc.record({ kind: fc.constant('replaceMachine' as const), machine: fc.nat(5) }),
  fc.record({ kind: fc.constant('alarm' as const), on: fc.nat(5), expression: fc.nat(kinds.length - 1) }),
  fc.record({ kind: fc.constant('removeAlarm' as const), alarm: fc.nat(9) }),
  fc.record({ kind: fc.constant('enable' as const), alarm: fc.nat(9), enabled: fc.boolean() }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

/** Everything computed from the inventory alone, and the last event of each alarm and machine. */
class Model {
  readonly last = new Map<string, 'red' | 'green'>();

  expected(world: World): Map<string, string[]> {
    const shown = new Map<string, string[]>();
    for (const entity of world.registry.all('ManagedEntity')) shown.set(entity.ref.value, []);
    for (const machine of world.registry.all('VirtualMachine')) {
      const above = this.#above(world, machine.ref);
      for (const alarm of world.registry.all('Alarm')) {
        const info = alarm.value('info') as DataTypes['AlarmInfo'];
        const key = `${alarm.ref.value}.${machine.ref.value}`;
        if (!info.enabled || !above.has(info.entity.value)) {
          this.last.delete(key);
          continue;
        }
        const status = this.#status(world, machine.ref, info.expression, this.last.get(key));
        if (status !== 'red' && status !== 'yellow') continue;
        for (const value of above) shown.get(value)?.push(`${key} ${status}`);
      }
    }
    for (const list of shown.values()) list.sort();
    return shown;
  }

  /** The event is for the machine's alarms as they are now. */
  happened(world: World, machine: Machine, type: string): void {
    for (const alarm of world.registry.all('Alarm')) {
      const { expression, enabled, entity } = alarm.value('info') as DataTypes['AlarmInfo'];
      const waits = JSON.stringify(expression).includes('EventAlarmExpression');
      if (!waits || !enabled || !this.#above(world, machine).has(entity.value)) continue;
      this.last.set(`${alarm.ref.value}.${machine.value}`, eventStatus[type]!);
    }
  }

  #status(world: World, machine: ManagedObjectReference, expression: object, last: string | undefined): string {
    const off =
      (world.registry.byValue(machine.value)!.value('runtime') as { powerState: string }).powerState === 'poweredOff';
    if (expression === kinds[0] || isLike(expression, 0)) return off ? 'red' : 'green';
    if (isLike(expression, 1)) return off ? 'green' : 'yellow';
    if (isLike(expression, 2)) return last ?? 'gray';
    return off && last !== 'green' ? 'red' : 'green';
  }

  #above(world: World, ref: ManagedObjectReference, found = new Set<string>()): Set<string> {
    found.add(ref.value);
    const object = world.registry.get(ref);
    const host = (object?.value('runtime') as { host?: ManagedObjectReference } | undefined)?.host;
    for (const at of [object?.value('parent') as ManagedObjectReference | undefined, host]) {
      if (at !== undefined) this.#above(world, at, found);
    }
    return found;
  }
}

const texts = kinds.map((kind) => JSON.stringify(kind));
const isLike = (expression: object, kind: number) => JSON.stringify(expression) === texts[kind];

test('whatever happens, alarms are at rest what an evaluation of everything says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 10, maxLength: 40 }), async (operations) => {
      const world = await alarmWorld();
      const model = new Model();
      let count = 10;
      const folders = ['group-v1', 'group-v2'].map((value) =>
        world.registry.commit((draft) =>
          draft.add(world.define('Folder'), value, { name: value, parent: world.datacenter }),
        ),
      );
      const places = () => [world.datacenter, ...folders, world.root];
      const add = (where: number) =>
        world.registry.commit((draft) =>
          draft.add(world.define('VirtualMachine'), `vm-${++count}`, {
            name: 'x',
            parent: places()[where % 4]!,
            runtime: { powerState: where % 2 === 0 ? 'poweredOff' : 'poweredOn' } as never,
          }),
        );
      const machines: Machine[] = [0, 1, 2, 3, 4, 5].map(add);
      const alarms = () => [...world.registry.all('Alarm')];
      const run = async (each: (typeof operations)[number]) => {
        if (each.kind === 'power') await world.power(machines[each.machine]!, each.off ? 'poweredOff' : 'poweredOn');
        else if (each.kind === 'move') {
          const machine = machines[each.machine]!;
          const { powerState } = world.registry.read(machine, 'runtime') as { powerState: string };
          const runtime = { powerState, ...(each.onHost ? { host: world.host } : {}) } as never;
          await world.change(machine, { parent: places()[each.to]!, runtime });
        } else if (each.kind === 'moveFolder') {
          await world.change(folders[1]!, { parent: each.to === 0 ? world.datacenter : folders[0]! });
        } else if (each.kind === 'event') {
          model.happened(world, machines[each.machine]!, each.type);
          await world.post({ type: each.type as 'VmGuestRebootEvent', entity: machines[each.machine]! });
        } else if (each.kind === 'replaceMachine') {
          world.registry.commit((draft) => draft.remove(machines[each.machine]!));
          machines[each.machine] = add(each.machine);
        } else if (each.kind === 'alarm') {
          const on = [...places(), world.host, machines[0]!][each.on]!;
          await world.create(on, spec(`a${++count}`, kinds[each.expression]!));
        } else if (each.kind === 'removeAlarm') {
          const alarm = alarms()[each.alarm];
          if (alarm !== undefined) await world.client.call(alarm.ref, 'RemoveAlarm');
        } else if (each.kind === 'enable') {
          const alarm = alarms()[each.alarm];
          const info = alarm?.value('info') as DataTypes['AlarmInfo'] | undefined;
          if (info !== undefined) {
            await world.client.call(info.alarm, 'ReconfigureAlarm', { spec: { ...info, enabled: each.enabled } });
          }
        }
      };
      for (const each of operations) {
        if (each.kind === 'restart') await world.reopen();
        else await run(each);
        await world.service.settled();
        for (const [value, expected] of model.expected(world)) {
          const object = world.registry.byValue(value)!;
          assert.deepEqual(world.triggered(object.ref).sort(), expected, `${value} after ${each.kind}`);
          for (const state of world.states(object.ref)) {
            const shown = expected.includes(`${state.key} ${state.overallStatus}`);
            assert.equal(shown, state.overallStatus === 'red' || state.overallStatus === 'yellow', state.key);
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('what a commit costs with 10,000 machines and 50 alarms', async (context) => {
  const world = await alarmWorld();
  for (let index = 0; index < 50; index += 1) await world.create(world.root, spec(`a${index}`, machineOff));
  const machines = world.registry.commit((draft) =>
    Array.from({ length: 10_000 }, (_, index) =>
      draft.add(world.define('VirtualMachine'), `vm-x${index}`, {
        name: `x${index}`,
        parent: world.datacenter,
        runtime: { powerState: 'poweredOn', host: world.host } as never,
      }),
    ),
  );
  const begun = performance.now();
  await world.service.settled();
  context.diagnostic(`10,000 machines taken over in ${(performance.now() - begun).toFixed(0)} ms`);
  const measure = async (what: string, runs: number, change: (machine: Machine, run: number) => Promise<unknown>) => {
    const from = performance.now();
    for (let run = 0; run < runs; run += 1) await change(machines[run % machines.length]!, run);
    context.diagnostic(`${what}: ${(((performance.now() - from) * 1_000) / runs).toFixed(1)} µs`);
  };
  const runtime = (machine: Machine, run: number) =>
    ({ ...(world.registry.read(machine, 'runtime') as object), bootTime: String(run) }) as never;
  await measure('a change that no alarm looks at', 5_000, (machine, run) => world.change(machine, { name: `y${run}` }));
  await measure('a change that 50 alarms look at', 2_000, (machine, run) =>
    world.change(machine, { runtime: runtime(machine, run) }),
  );
  await measure('a change that triggers 50 alarms', 50, (machine) => world.power(machine, 'poweredOff'));
  assert.equal(world.triggered(world.root).length, 2_500);
});
