import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import fc from 'fast-check';
import { Computer, type Daemon, newDisk, rootPool, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { killedAt, killLimit } from '../testing/killed.ts';
import { gateFiles } from '../testing/mortal-files.ts';

/** Whatever is asked of a host, and wherever its process dies: what it shows afterwards is true, and nothing is left over. */

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Power = 'poweredOff' | 'poweredOn' | 'suspended';

/** What must be true of one machine: several states, after a process died in the middle of a change. */
interface Expected {
  readonly registered: boolean;
  readonly power: Power;
  readonly disks: number;
}

const names = ['a', 'b', 'c'] as const;
const actions = [
  'create',
  'unregister',
  'register',
  'destroy',
  'powerOn',
  'powerOff',
  'suspend',
  'reset',
  'addDisk',
  'removeDisk',
  'annotate',
  'crash',
  'shutdown',
] as const;
type Action = (typeof actions)[number];

interface Step {
  /** Which of the actions that the machine allows then. */
  readonly pick: number;
  readonly name: (typeof names)[number];
  /** The process dies after so many steps; undefined: it does not. */
  readonly dies: number | undefined;
}

const step = fc.record<Step>({
  pick: fc.nat({ max: 10_000 }),
  name: fc.constantFrom(...names),
  dies: fc.option(fc.nat({ max: 40 }), { nil: undefined, freq: 3 }),
});

/** What the machine is after the action; undefined: the action is refused. `none` is a machine that is nowhere. */
function after(before: Expected | undefined, action: Action): Expected | 'none' | undefined {
  if (action === 'create')
    return before === undefined ? { registered: true, power: 'poweredOff', disks: 1 } : undefined;
  if (before === undefined) return undefined;
  if (action === 'register') return before.registered ? undefined : { ...before, registered: true };
  if (!before.registered) return undefined;
  const { power, disks } = before;
  switch (action) {
    case 'unregister':
      // One that is suspended is found again as that, with its memory.
      return power === 'poweredOn' ? undefined : { ...before, registered: false };
    case 'destroy':
      return power === 'poweredOn' ? undefined : 'none';
    case 'powerOn':
      return power === 'poweredOn' ? undefined : { ...before, power: 'poweredOn' };
    case 'powerOff':
      return power === 'poweredOff' ? undefined : { ...before, power: 'poweredOff' };
    case 'suspend':
      return power === 'poweredOn' ? { ...before, power: 'suspended' } : undefined;
    case 'reset':
      return power === 'poweredOn' ? before : undefined;
    case 'addDisk':
      return power !== 'suspended' && disks < 4 ? { ...before, disks: disks + 1 } : undefined;
    case 'removeDisk':
      return power !== 'suspended' && disks > 0 ? { ...before, disks: disks - 1 } : undefined;
    case 'annotate':
      return before;
    default:
      return power === 'poweredOn' ? { ...before, power: 'poweredOff' } : undefined;
  }
}

async function perform(computer: Computer, daemon: Daemon, action: Action, name: string): Promise<void> {
  const machine = daemon.machine(name) as Machine;
  const folder = join(computer.datastore, name);
  const change = (deviceChange: unknown[]) =>
    daemon.task(machine, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange } });
  switch (action) {
    case 'create':
      return void (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name)));
    case 'register': {
      const path = `[datastore1] ${name}/${name}.vmx`;
      return void (await daemon.task(vmFolder, 'RegisterVM_Task', { path, asTemplate: false, pool: rootPool }));
    }
    case 'unregister':
      return void (await daemon.call(machine, 'UnregisterVM'));
    case 'destroy':
      return void (await daemon.task(machine, 'Destroy_Task'));
    case 'powerOn':
      return void (await daemon.task(machine, 'PowerOnVM_Task'));
    case 'powerOff':
      return void (await daemon.task(machine, 'PowerOffVM_Task'));
    case 'suspend':
      return void (await daemon.task(machine, 'SuspendVM_Task'));
    case 'reset':
      return void (await daemon.task(machine, 'ResetVM_Task'));
    case 'addDisk':
      return void (await change([newDisk(1000)]));
    case 'removeDisk': {
      const disk = daemon.read(machine, 'config')?.hardware.device?.find((one) => one._typeName === 'VirtualDisk');
      return void (await change([
        { _typeName: 'VirtualDeviceConfigSpec', operation: 'remove', fileOperation: 'destroy', device: disk },
      ]));
    }
    case 'annotate': {
      const spec = { _typeName: 'VirtualMachineConfigSpec', annotation: 'two\nlines "and" | a bar' };
      return void (await daemon.task(machine, 'ReconfigVM_Task', { spec }));
    }
    default: {
      computer.engines.end(join(folder, '.hypo', 'vm.lck'), action === 'crash' ? 'crashed' : 'guest-shutdown');
      while (!daemon.store.dead && daemon.read(machine, 'runtime')?.powerState === 'poweredOn') await pause(1);
      await daemon.store.gate();
    }
  }
}

/** What the host and its folders show of a machine, which must agree among themselves. */
async function observe(computer: Computer, daemon: Daemon, name: string): Promise<Expected | undefined> {
  const machine = daemon.machine(name);
  const folder = join(computer.datastore, name);
  const files = await readdir(folder).catch(() => undefined);
  const engine = computer.engines.engines.get(join(folder, '.hypo', 'vm.lck'));
  if (files === undefined) {
    assert.equal(machine, undefined, 'a machine without a folder');
    assert.equal(engine, undefined, 'an engine without a machine');
    return undefined;
  }
  const vmx = await readFile(join(folder, `${name}.vmx`), 'utf8');
  const disks = [...vmx.matchAll(/^scsi0:\d+\.fileName = "(.*)\.vmdk"/gm)].map((match) => match[1] as string);
  if (engine !== undefined) {
    const open = [...engine.disks.values()].map(([top]) => basename(top?.path ?? ''));
    assert.deepEqual(open.sort(), disks.map((disk) => `${disk}-flat.vmdk`).sort(), 'disks of the engine');
  }
  const image = /^checkpoint\.vmState = "(.*)"/m.exec(vmx)?.[1];
  // What nobody knows of is what its folder says.
  const asFound = image === undefined ? 'poweredOff' : 'suspended';
  const power = (machine && daemon.read(machine, 'runtime')?.powerState) ?? asFound;
  assert.equal(engine !== undefined, power === 'poweredOn', `shown as ${power}`);
  assert.equal(image !== undefined, power === 'suspended', `shown as ${power}, its .vmx names ${image}`);
  // What a dead process was writing under a hidden name goes with the machine.
  const left = files.filter((file) => !/^(\.hypo.*|\..*\.tmp|.*\.vmx|hypostyle\.log)$/.test(file)).sort();
  const named = [...disks.flatMap((disk) => [`${disk}-flat.vmdk`, `${disk}.vmdk`]), ...(image ? [image] : [])].sort();
  assert.deepEqual(left, named, 'files that nothing names, or names without files');
  if (machine !== undefined) {
    const runtime = daemon.read(machine, 'runtime');
    assert.equal(runtime?.connectionState, 'connected');
    assert.equal(runtime?.bootTime !== undefined, power === 'poweredOn');
    const shown = daemon.read(machine, 'config')?.hardware.device?.filter((one) => one._typeName === 'VirtualDisk');
    assert.equal(shown?.length, disks.length);
  }
  return { registered: machine !== undefined, power, disks: disks.length };
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function play(computer: Computer, steps: readonly Step[]): Promise<void> {
  const model = new Map<string, Expected>();
  let daemon = await computer.start();
  for (const one of steps) {
    const { name, pick, dies } = one;
    const before = model.get(name);
    const possible = actions.filter((action) => after(before, action) !== undefined);
    const action = possible[pick % possible.length] as Action;
    const wanted = after(before, action);
    // Memory that a machine goes on from is the one that it was suspended with.
    const lock = join(computer.datastore, name, '.hypo', 'vm.lck');
    const memory = computer.engines.engines.get(lock)?.memory;
    if (memory !== undefined) memories.set(lock, memory);
    const end = await killedAt({ computer, daemon, dies: dies ?? Number.POSITIVE_INFINITY }, (alive) =>
      perform(computer, alive, action, name),
    );
    const { whole } = end;
    daemon = end.daemon;
    const seen = await observe(computer, daemon, name);
    const allowed = [wanted === 'none' ? undefined : wanted, ...(whole ? [] : [before])];
    assert.ok(
      allowed.some((expected) => JSON.stringify(expected) === JSON.stringify(seen)),
      `${action} ${whole ? 'done' : `killed at ${dies}`}: ${JSON.stringify(seen)}, not ${JSON.stringify(allowed)}`,
    );
    if (before?.power === 'suspended' && seen?.power === 'poweredOn')
      assert.equal(computer.engines.engines.get(lock)?.memory, memories.get(lock), 'went on from its memory');
    if (seen === undefined) model.delete(name);
    else model.set(name, seen);
    // Nothing else moved.
    for (const other of names) assert.deepEqual(await observe(computer, daemon, other), model.get(other));
  }
  const registered = [...model.values()].filter((machine) => machine.registered).length;
  assert.equal((await daemon.store.list('machine')).length, registered);
  for (const { key } of await daemon.store.list('machine-runtime'))
    assert.ok(
      daemon.machines().some((machine) => machine.value === key),
      `a runtime document of machine ${key}`,
    );
  await daemon.host.close();
}

const memories = new Map<string, string>();

test(
  'whatever is done and wherever the process dies, what is shown is true and nothing is left over',
  killLimit,
  async (t) => {
    const ungate = gateFiles();
    t.after(ungate);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }), async (steps) => {
        const computer = await Computer.make();
        try {
          await play(computer, steps);
          assert.deepEqual(computer.defects, []);
        } finally {
          await computer.remove();
        }
      }),
      { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 5), endOnFailure: false },
    );
  },
);
