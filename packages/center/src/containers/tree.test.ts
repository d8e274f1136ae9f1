import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryPersistence, VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';
import { FollowedInventory } from '../testing/tree/followed-inventory.ts';
import { Refused, TreeModel } from '../testing/tree/tree-model.ts';
import { type Draw, type Operation, TreeOperations } from '../testing/tree/tree-operations.ts';
import { assertAsModel, assertWhole } from '../testing/tree/tree-reading.ts';

const draw: fc.Arbitrary<Draw> = fc.record({
  // Without a preference for small numbers: what was there first is not meant more often.
  operation: fc.noBias(fc.nat(10_000)),
  one: fc.noBias(fc.nat(10_000)),
  other: fc.noBias(fc.nat(10_000)),
  name: fc.noBias(fc.nat(3)),
});

/** Does it to both; the center refuses what the model refuses, with the same fault. */
async function step(operation: Operation, model: TreeModel): Promise<void> {
  const restore = model.snapshot();
  let after: ((result: unknown) => void) | undefined;
  let refused: string | undefined;
  try {
    after = operation.model();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refused = error.fault;
    restore();
  }
  try {
    const result = await operation.call();
    assert.equal(refused, undefined, `${operation.text} is not refused`);
    after?.(result);
  } catch (error) {
    if (!(error instanceof VimFault)) throw error;
    assert.equal(error.type, refused, `${operation.text}: ${error.message}`);
  }
}

async function check(center: TestCenter, model: TreeModel, follower: FollowedInventory): Promise<void> {
  assertWhole(center);
  assertAsModel(center, model);
  assert.deepEqual(await follower.now(), await (await FollowedInventory.begin(center)).now());
}

async function run(draws: readonly Draw[], restartAfter: number): Promise<void> {
  const network = new HostNetwork();
  await network.add('local');
  const disk = new MemoryPersistence();
  let center = await TestCenter.open(network, disk, 'local');
  const model = new TreeModel();
  const operations = new TreeOperations(model, () => center);
  try {
    model.add({ kind: 'Folder', value: 'group-d1', name: 'Datacenters', holds: 'Datacenter', fixed: true });
    const [datacenter] = center.all('Datacenter');
    const [compute] = center.all('ComputeResource');
    const host = center.named('HostSystem', 'local');
    assert.ok(datacenter && compute);
    operations.addDatacenter(datacenter, 'Datacenter', 'group-d1');
    operations.addCompute('ComputeResource', compute, 'local', center.hostFolder().value);
    model.add({ kind: 'HostSystem', value: host.value, name: 'local', parent: compute.value });
    let follower = await FollowedInventory.begin(center);
    const done: string[] = [];
    for (const [index, each] of draws.entries()) {
      if (index === restartAfter) {
        await center.close();
        center = await TestCenter.open(network, disk, 'local');
        follower = await FollowedInventory.begin(center);
        done.push('restart');
      }
      const operation = operations.operation(each);
      if (operation === undefined) continue;
      done.push(operation.text);
      try {
        await step(operation, model);
        await check(center, model, follower);
      } catch (error) {
        throw new Error(`after ${done.join('\n')}\n${String((error as Error).stack)}`, { cause: error });
      }
    }
    assert.deepEqual(center.defects, []);
  } finally {
    await center.close();
    await network.remove();
  }
}

test('whatever is made, moved, renamed and destroyed, the tree is whole, and as documented', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(draw, { minLength: 50, maxLength: 50 }), fc.nat(50), (draws, restartAfter) =>
      run(draws, restartAfter),
    ),
    { numRuns: Number(process.env.HYPO_TREE_RUNS ?? 2), endOnFailure: true },
  );
});
