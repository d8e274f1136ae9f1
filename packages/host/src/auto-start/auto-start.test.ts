import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, type ManagedObjectReference, systemClock } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../testing/killed.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const manager = references.autoStartManager;

/** Delays of this many seconds pass when a test says so. */
const held = 77;

class HeldClock implements Clock {
  #waiting: (() => void)[] = [];

  now(): number {
    return Date.now();
  }

  after(milliseconds: number, run: () => void): () => void {
    if (milliseconds !== held * 1000) return systemClock.after(milliseconds, run);
    this.#waiting.push(run);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== run);
    };
  }

  /** Lets the next delay pass, once there is one. */
  async pass(): Promise<void> {
    while (this.#waiting.length === 0) await turn();
    this.#waiting.shift()?.();
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function withComputer(work: (computer: Computer, clock: HeldClock) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  const clock = new HeldClock();
  computer.clock = clock;
  try {
    await work(computer, clock);
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
}

async function make(daemon: Daemon, ...names: string[]): Promise<Machine[]> {
  const made: Machine[] = [];
  for (const name of names) made.push((await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name))) as Machine);
  return made;
}

function entry(key: Machine | undefined, members: object = {}): object {
  return {
    _typeName: 'AutoStartPowerInfo',
    key,
    ...{ startOrder: -1, startDelay: -1, waitForHeartbeat: 'systemDefault' },
    ...{ startAction: 'powerOn', stopDelay: -1, stopAction: 'systemDefault' },
    ...members,
  };
}

async function configure(daemon: Daemon, powerInfo: object[], defaults: object = {}): Promise<void> {
  const spec = {
    _typeName: 'HostAutoStartManagerConfig',
    defaults: { _typeName: 'AutoStartDefaults', enabled: true, startDelay: 0, ...defaults },
    powerInfo,
  };
  await daemon.call(manager, 'ReconfigureAutostart', { spec });
}

const stateOf = (daemon: Daemon, machine: Machine | undefined) =>
  machine === undefined ? undefined : daemon.read(machine, 'runtime')?.powerState;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test('machines start with their computer, in order, once each time that it starts', async () => {
  await withComputer(async (computer, clock) => {
    const first = await computer.start();
    const [web, db, other] = await make(first, 'web', 'db', 'other');
    await configure(first, [entry(web, { startOrder: 2 }), entry(db, { startOrder: 1, startDelay: held })]);
    // The service starts again, and the computer has not.
    await first.host.close();
    const second = await computer.start();
    await configure(second, []);
    assert.deepEqual([stateOf(second, web), stateOf(second, db)], ['poweredOff', 'poweredOff']);
    await second.host.close();

    computer.booted += 1;
    const third = await computer.start();
    await until(() => stateOf(third, db) === 'poweredOn');
    assert.equal(stateOf(third, web), 'poweredOff');
    await clock.pass();
    await until(() => stateOf(third, web) === 'poweredOn');
    assert.equal(stateOf(third, other), 'poweredOff');
    await third.host.close();

    const fourth = await computer.start();
    assert.equal(stateOf(fourth, db), 'poweredOn');
    await fourth.task(db as Machine, 'PowerOffVM_Task');
    await fourth.host.close();
    const fifth = await computer.start();
    assert.deepEqual(fifth.host.registry.read(manager, 'config')?.defaults?.enabled, true);
    assert.equal(stateOf(fifth, db), 'poweredOff');
    await fifth.host.close();
  });
});

test('a service that is ended in the middle goes on with the machines that are left', async () => {
  await withComputer(async (computer) => {
    const first = await computer.start();
    const [web, db] = await make(first, 'web', 'db');
    await configure(first, [entry(web, { startOrder: 1, startDelay: held }), entry(db, { startOrder: 2 })]);
    await first.host.close();
    computer.booted += 1;
    const second = await computer.start();
    await until(() => stateOf(second, web) === 'poweredOn');
    await second.idle();
    await second.task(web as Machine, 'PowerOffVM_Task');
    await second.host.close();
    const third = await computer.start();
    await until(() => stateOf(third, db) === 'poweredOn');
    // A person had switched it off meanwhile.
    assert.equal(stateOf(third, web), 'poweredOff');
    await third.host.close();
  });
});

test(
  'a service that dies at any step of a start loses none: the next one has every machine on',
  killLimit,
  async () => {
    await withComputer(async (computer, clock) => {
      let daemon = await computer.start();
      const [web, db] = await make(daemon, 'web', 'db');
      await configure(daemon, [entry(web, { startOrder: 1, startDelay: held }), entry(db, { startOrder: 2 })]);
      for (const dies of deaths(4)) {
        for (const machine of [web, db] as Machine[]) {
          if (stateOf(daemon, machine) === 'poweredOn') await daemon.task(machine, 'PowerOffVM_Task');
        }
        await daemon.host.close();
        computer.booted += 1;
        daemon = await computer.start();
        await until(() => stateOf(daemon, web) === 'poweredOn');
        await daemon.idle();
        const { daemon: next, whole } = await killedAt({ computer, daemon, dies }, async (first) => {
          await clock.pass();
          await until(() => first.store.dead || stateOf(first, db) === 'poweredOn');
          await first.idle();
        });
        daemon = next;
        await until(() => stateOf(daemon, db) === 'poweredOn');
        await daemon.idle();
        assert.equal(stateOf(daemon, web), 'poweredOn');
        if (whole) break;
      }
      await daemon.host.close();
    });
  },
);

test('what is asked for is started and stopped by its order, and who may not start keeps nobody back', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    const [web, db, template] = await make(daemon, 'web', 'db', 'template');
    await daemon.call(template as Machine, 'MarkAsTemplate');
    await configure(daemon, [entry(template, { startOrder: 1 }), entry(web, { startOrder: 2 }), entry(db)], {
      stopDelay: held,
    });
    await daemon.call(manager, 'AutoStartPowerOn');
    await until(() => stateOf(daemon, web) === 'poweredOn' && stateOf(daemon, db) === 'poweredOn');
    await daemon.idle();
    // A stop goes on as soon as the machine is off.
    await daemon.call(manager, 'AutoStartPowerOff');
    await until(() => stateOf(daemon, web) === 'poweredOff');
    assert.equal(stateOf(daemon, db), 'poweredOff');
    await daemon.idle();
    const tasks = daemon.host.registry.read({ type: 'TaskManager', value: 'ha-taskmgr' }, 'recentTask') ?? [];
    const infos = tasks.map((task) => daemon.host.registry.read(task, 'info'));
    const power = infos.filter((info) => info?.descriptionId?.startsWith('VirtualMachine.power'));
    assert.deepEqual(power.map((info) => [info?.descriptionId, info?.entityName, info?.state]).toSorted(), [
      ['VirtualMachine.powerOff', 'db', 'success'],
      ['VirtualMachine.powerOff', 'web', 'success'],
      ['VirtualMachine.powerOn', 'db', 'success'],
      ['VirtualMachine.powerOn', 'web', 'success'],
    ]);
    await daemon.task(db as Machine, 'Destroy_Task');
    const config = daemon.host.registry.read(manager, 'config');
    assert.deepEqual(
      config?.powerInfo?.map(({ key }) => key.value),
      [template?.value, web?.value],
    );
    assert.deepEqual(daemon.host.registry.read(references.host, 'config')?.autoStart, config);
    await daemon.host.close();
  });
});
