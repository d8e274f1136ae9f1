import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { CenterCalls } from './center-calls.ts';
import { Computer, smallMachine, vmFolder } from './host-fixture.ts';

/** A host with a machine `web` that is off, and the calls of a center to it, for tests of copies. */
export async function withCopiedMachine(t: TestContext) {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close().catch(() => {});
    assert.deepEqual(computer.defects, []);
    await computer.remove();
  });
  const folder = (name: string) => join(computer.datastore, name);
  return {
    computer,
    daemon,
    center: await CenterCalls.of(daemon),
    web: (await daemon.task(
      vmFolder,
      'CreateVM_Task',
      smallMachine('web'),
    )) as ManagedObjectReference<'VirtualMachine'>,
    folder,
    /** The lock by which the engine of a machine is known. */
    lock: (name: string) => join(folder(name), '.hypo', 'vm.lck'),
  };
}
