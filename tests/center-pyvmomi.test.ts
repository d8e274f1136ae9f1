import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Center, centerOf } from './harness/center.ts';
import {
  driveMachines,
  machineSteps,
  runAtCenter,
  type Target,
  transfer,
  transferSteps,
} from './harness/center-scripts.ts';
import { historySteps } from './harness/client-script.ts';
import { Daemon } from './harness/daemon.ts';

describe("Debian's pyVmomi at a center", () => {
  let daemon: Daemon;
  let center: Center;
  let target: Target;

  before(async () => {
    daemon = await Daemon.start({ mode: 'center' });
    center = await centerOf(daemon);
    target = { host: await center.localHost(), datastore: 'datastore1', daemon };
  });
  after(async () => {
    await center?.[Symbol.asyncDispose]();
    await daemon?.remove();
  });

  it('walks the whole tree with all properties', async () => {
    assert.deepEqual(await runAtCenter('center_walk.py', center, target), [
      'a center, with its managers',
      'the tree by its folders, and by a view',
      'every property of every object',
      'host, compute resource and datastore',
      'found by path, name and UUID',
      'what machines can be made of there',
      'signed out',
    ]);
  });

  it('clones machines, whole, linked, from templates and customized', async () => {
    assert.deepEqual(await runAtCenter('center_clones.py', center, target), [
      'a whole clone, with a configuration of its own',
      'linked clones, many at a time',
      'what they stand on stays',
      'a template, and a machine of it that is told who it is',
      'thick disks, and nothing left at the end',
    ]);
  });

  it('makes, moves, renames and destroys what an inventory has', async () => {
    assert.deepEqual(await runAtCenter('center_inventory.py', center, target), [
      'datacenters and folders',
      'clusters',
      'resource pools',
      'custom fields',
      'roles and permissions',
    ]);
  });

  it('creates machines on a host, and drives a real guest', async () => {
    assert.deepEqual(await driveMachines(center, target), machineSteps);
  });

  it('reads the history of events and tasks, page by page', async () => {
    assert.deepEqual(await runAtCenter('pyvmomi_history.py', center, target), historySteps);
  });

  it('brings files and appliances to a host', async () => {
    assert.deepEqual(await transfer(center, target), transferSteps);
  });
});
