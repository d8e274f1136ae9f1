import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import type { ClientRequest } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { bootableDisk } from '@hypostyle/contracts/testing';
import { type Client, data, type Event, type ManagedObjectReference, type TaskInfo } from '@hypostyle/vim';
import { Daemon } from './harness/daemon.ts';
import { endEngines } from './harness/engines.ts';
import { guestAnswers, onConsole } from './harness/guest-console.ts';
import {
  added,
  createGuest,
  createMachine,
  eventually,
  type Machine,
  machineSpec,
  powerOn,
  propertyOf,
  references,
  signedIn,
} from './harness/guest-machine.ts';

const run = promisify(execFile);

type Task = ManagedObjectReference<'Task'>;

let home: string;
let daemon: Daemon;
let client: Client;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-kill-'));
  await start();
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<void> {
  daemon = await Daemon.start({ home });
  client = await signedIn(daemon);
}

/** SIGKILL of the host in the middle of what it does, and the next one on the same home. */
async function killAndStart(): Promise<void> {
  assert.ok(daemon.running);
  await daemon.kill();
  await client[Symbol.asyncDispose]();
  await start();
}

const property = <T>(object: ManagedObjectReference, path: string) => propertyOf<T>(client, object, path);

const powerState = (machine: Machine) => property<string>(machine, 'runtime.powerState');
const infoOf = (task: Task) => property<TaskInfo>(task, 'info');

async function ended(task: Task): Promise<TaskInfo> {
  await client.waitForTask(task).catch(() => {});
  return infoOf(task);
}

/** Process ids of the engines, by the UUID that their machine has. */
async function enginePids(): Promise<number[]> {
  return (await daemon.engines()).map(({ pid }) => pid).sort((a, b) => a - b);
}

async function inGuest(machine: Machine, command: string, timeoutMs = 20_000): Promise<string> {
  return onConsole(daemon, await property<string>(machine, 'config.uuid'), (console) =>
    console.run(command, timeoutMs),
  );
}

const booted = async (machine: Machine) =>
  guestAnswers(daemon, await property<string>(machine, 'config.uuid'), 180_000);

const uptime = async (machine: Machine) => Number((await inGuest(machine, 'cat /proc/uptime')).split(' ')[0]);

/** Every file and folder of the datastore. */
async function listing(): Promise<string[]> {
  return (await readdir(daemon.datastore, { recursive: true })).sort();
}

async function allEvents(): Promise<Event[]> {
  const { eventManager } = await client.content();
  assert.ok(eventManager);
  const filter = data('EventFilterSpec', { maxCount: 1000 });
  const collector = await client.call(eventManager, 'CreateCollectorForEvents', { filter });
  await client.call(collector, 'RewindCollector', {});
  const events: Event[] = [];
  for (;;) {
    const page = (await client.call(collector, 'ReadNextEvents', { maxCount: 500 })) ?? [];
    if (page.length === 0) break;
    events.push(...page);
  }
  await client.call(collector, 'DestroyCollector', {});
  return events.sort((a, b) => a.key - b.key);
}

function eagerDisk(controllerKey: number, gibibytes: number, fileName = '') {
  return {
    ...added(
      data('VirtualDisk', {
        key: -9,
        controllerKey,
        capacityInKB: gibibytes * 2 ** 20,
        backing: data('VirtualDiskFlatVer2BackingInfo', {
          fileName,
          diskMode: 'persistent',
          thinProvisioned: false,
          eagerlyScrub: true,
        }),
      }),
    ),
    fileOperation: 'create' as const,
  };
}

const guests: Machine[] = [];

test('three guests run', async () => {
  for (const name of ['one', 'two', 'three']) guests.push(await createGuest(client, daemon, { name }));
  await Promise.all(guests.map((guest) => powerOn(client, guest)));
  for (const guest of guests) {
    await booted(guest);
    await inGuest(guest, `echo ${guest.value} >/tmp/mark`);
  }
  assert.equal((await enginePids()).length, 3);
});

test('a killed host leaves its machines running, undoes a deploy, and goes on with what was queued', async () => {
  const delta = await createMachine(client, machineSpec('delta'));
  const before = { pids: await enginePids(), files: await listing() };
  const uptimes = await Promise.all(guests.map(uptime));

  const deploy = await halfADeploy('deployed');
  const reconfigure = await client.call(delta, 'ReconfigVM_Task', {
    spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange: [eagerDisk(200, 6)] },
  });
  const rename = await client.call(delta, 'Rename_Task', { newName: 'epsilon' });
  await eventually(async () => (await infoOf(reconfigure)).state === 'running', 'the reconfiguration runs');
  await eventually(async () => (await listing()).some((name) => /^delta\/.*-flat\.vmdk/.test(name)), 'its disk grows');
  assert.equal((await infoOf(rename)).state, 'queued');
  assert.ok(
    (await listing()).some((name) => name.startsWith('deployed/')),
    'the deploy has begun',
  );
  const tasks = await recentTasks();
  const events = await allEvents();

  await daemon.kill();
  deploy.destroy();
  await client[Symbol.asyncDispose]();
  assert.deepEqual(await enginePids(), before.pids, 'the engines run on with no host');
  await start();

  assert.deepEqual(await enginePids(), before.pids, 'the same engines');
  for (const [index, guest] of guests.entries()) {
    assert.equal(await powerState(guest), 'poweredOn');
    assert.equal(await inGuest(guest, 'cat /tmp/mark'), guest.value);
    assert.ok((await uptime(guest)) > (uptimes[index] ?? 0), 'its uptime goes on');
  }

  assert.equal((await ended(rename)).state, 'success', 'the queued task ran');
  assert.equal(await property(delta, 'name'), 'epsilon');
  const interrupted = await ended(reconfigure);
  assert.equal(interrupted.state, 'error');
  assert.match(interrupted.error?.localizedMessage ?? '', /restarted/);
  for (const { key, descriptionId, state, task, completeTime } of tasks) {
    const now = await ended(task);
    assert.equal(now.key, key);
    assert.equal(now.descriptionId, descriptionId);
    assert.ok(now.state === 'success' || now.state === 'error', `${descriptionId} is over`);
    if (state === 'success' || state === 'error')
      assert.deepEqual([now.state, now.completeTime], [state, completeTime]);
    if (descriptionId === 'ResourcePool.ImportVAppLRO') assert.equal(now.state, 'error');
  }
  assert.ok(tasks.some(({ descriptionId }) => descriptionId === 'ResourcePool.ImportVAppLRO'));
  await eventually(async () => (await listing()).length === before.files.length, 'what was half made is taken away');
  assert.deepEqual(await listing(), before.files);
  assert.deepEqual(await names(), ['epsilon', 'one', 'three', 'two']);

  const later = await allEvents();
  // Tasks take numbers of the same row for their chains, and a restart begins a new block: keys are unique, not dense.
  assert.equal(new Set(later.map(({ key }) => key)).size, later.length, 'no key is given twice');
  assert.deepEqual(later.slice(0, events.length).map(essence), events.map(essence), 'no event is lost');
  assert.ok(later.length > events.length);
});

test('a host that is asked to stop leaves its machines running too', async () => {
  const pids = await enginePids();
  await daemon.stop();
  await client[Symbol.asyncDispose]().catch(() => {});
  assert.deepEqual(await enginePids(), pids);
  await start();
  assert.deepEqual(await enginePids(), pids);
  for (const guest of guests) assert.equal(await inGuest(guest, 'cat /tmp/mark'), guest.value);
  const [, two, three] = guests;
  for (const guest of [two, three]) {
    assert.ok(guest);
    await client.waitForTask(await client.call(guest, 'PowerOffVM_Task', {}));
  }
});

test('a kill while a machine is created with a disk that is written out leaves nothing', async () => {
  const before = await listing();
  const { vmFolder, rootPool } = references;
  const config = { ...machineSpec('zeta'), deviceChange: [eagerDisk(200, 6)] };
  const task = await client.call(vmFolder, 'CreateVM_Task', { config, pool: rootPool });
  await eventually(async () => {
    const flat = (await listing()).find((name) => /^zeta\/.*-flat\.vmdk/.test(name));
    return flat !== undefined && (await stat(join(daemon.datastore, flat))).blocks > 0;
  }, 'the disk is being written');
  await killAndStart();
  const info = await ended(task);
  assert.equal(info.state, 'error');
  assert.match(info.error?.localizedMessage ?? '', /restarted/);
  assert.deepEqual(await listing(), before);
  assert.ok(!(await names()).includes('zeta'));
});

test('a kill during suspend or resume never loses the memory', async () => {
  const [one] = guests;
  assert.ok(one);
  for (const delay of [0, 40, 150, 350, 700]) {
    const suspend = await client.call(one, 'SuspendVM_Task', {});
    await sleep(delay);
    await killAndStart();
    const info = await ended(suspend);
    const state = await powerState(one);
    assert.equal(state, info.state === 'success' ? 'suspended' : 'poweredOn', `after ${delay} ms`);
    assert.equal((await enginePids()).length, state === 'poweredOn' ? 1 : 0);
    if (state === 'poweredOn') await client.waitForTask(await client.call(one, 'SuspendVM_Task', {}));
    assert.equal((await memoryImages('one')).length, 1, 'one memory image is there');

    const resume: Task = await client.call(one, 'PowerOnVM_Task', {});
    await sleep(delay);
    await killAndStart();
    assert.equal((await ended(resume)).state, 'success', `resumed after ${delay} ms`);
    assert.equal((await enginePids()).length, 1);
    assert.equal(await inGuest(one, 'cat /tmp/mark'), one.value, 'it is the same run of the guest');
    assert.deepEqual(await memoryImages('one'), [], 'the memory image is used up');
    assert.doesNotMatch(await readFile(join(daemon.datastore, 'one/one.vmx'), 'utf8'), /vmState/i);
  }
  // Its folder goes on from the memory too, where it is forgotten and registered anew.
  await client.waitForTask(await client.call(one, 'SuspendVM_Task', {}));
  await client.call(one, 'UnregisterVM', {});
  const place = { path: '[datastore1] one/one.vmx', asTemplate: false, pool: references.rootPool };
  const registered = await client.call(references.vmFolder, 'RegisterVM_Task', place);
  const again = (await client.waitForTask(registered)) as Machine;
  assert.equal(await powerState(again), 'suspended');
  await client.waitForTask(await client.call(again, 'PowerOnVM_Task', {}));
  assert.equal(await inGuest(again, 'cat /tmp/mark'), one.value, 'it is the same run of the guest');
  await client.waitForTask(await client.call(again, 'PowerOffVM_Task', {}));
});

/** Kills in one go; HYPOSTYLE_RUNS gives more. */
const rounds = Number(process.env.HYPOSTYLE_RUNS ?? 5);

test('a kill at any moment of power-on ends in what is true, and nothing runs twice', async () => {
  const [, two] = guests;
  assert.ok(two);
  for (let round = 0; round < rounds; round += 1) {
    const delay = Math.floor(Math.random() * 500);
    const task = await client.call(two, 'PowerOnVM_Task', {});
    await sleep(delay);
    await killAndStart();
    const info = await ended(task);
    const pids = await enginePids();
    const what = `round ${round}, killed after ${delay} ms: ${info.error?.localizedMessage ?? info.state}`;
    assert.equal(info.state, 'success', what);
    assert.equal(pids.length, 1, what);
    assert.equal(await powerState(two), 'poweredOn', what);
    await sleep(200);
    assert.deepEqual(await enginePids(), pids, what);
    await client.waitForTask(await client.call(two, 'PowerOffVM_Task', {}));
    assert.deepEqual(await enginePids(), []);
  }
  const untrue = (await allEvents()).filter((event) => /found powered off/.test(event.fullFormattedMessage ?? ''));
  assert.deepEqual(untrue, [], 'an engine that never ran is not said to have ended');
});

async function memoryImages(folder: string): Promise<string[]> {
  return (await readdir(join(daemon.datastore, folder))).filter((name) => name.includes('.vmss'));
}

async function names(): Promise<string[]> {
  const machines = await property<Machine[]>(references.vmFolder, 'childEntity');
  const found = await client.retrieve(machines, ['name']);
  return found.map(({ values }) => String(values.name)).sort();
}

async function recentTasks(): Promise<TaskInfo[]> {
  const { taskManager } = await client.content();
  assert.ok(taskManager);
  const tasks = await property<Task[]>(taskManager, 'recentTask');
  return Promise.all(tasks.map(infoOf));
}

function essence(event: Event): unknown[] {
  return [event.key, event._typeName, event.createdTime, event.fullFormattedMessage, event.chainId];
}

/** Deploys an appliance until half of its disk is sent; the request is left open. */
async function halfADeploy(name: string): Promise<ClientRequest> {
  const disk = join(home, 'stream.vmdk');
  const image = await bootableDisk();
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', image, disk]);
  const bytes = await readFile(disk);
  const { ovfManager } = await client.content();
  assert.ok(ovfManager);
  const { importSpec, error } = await client.call(ovfManager, 'CreateImportSpec', {
    ovfDescriptor: descriptor(bytes.length),
    resourcePool: references.rootPool,
    datastore: await datastoreReference(),
    cisp: data('OvfCreateImportSpecParams', { entityName: name, locale: '', deploymentOption: '' }),
  });
  assert.ok(importSpec, JSON.stringify(error));
  const lease = await client.call(references.rootPool, 'ImportVApp', { spec: importSpec, folder: references.vmFolder });
  await eventually(async () => (await property(lease, 'state')) === 'ready', 'the lease is ready');
  const info = await property<{ readonly deviceUrl: readonly { readonly url: string }[] }>(lease, 'info');
  const url = (info.deviceUrl[0]?.url ?? '').replace('*', `${daemon.host}:${daemon.port}`).replace(/(:\d+):\d+/, '$1');
  const upload = request(url, {
    method: 'POST',
    rejectUnauthorized: false,
    headers: { 'Content-Type': 'application/x-vnd.vmware-streamVmdk', 'Content-Length': bytes.length },
  });
  upload.on('error', () => {});
  await new Promise<void>((resolve) => {
    upload.write(bytes.subarray(0, bytes.length / 2), () => resolve());
  });
  return upload;
}

async function datastoreReference(): Promise<ManagedObjectReference<'Datastore'>> {
  const [datastore] = await property<ManagedObjectReference<'Datastore'>[]>(
    { type: 'Datacenter', value: 'ha-datacenter' },
    'datastore',
  );
  assert.ok(datastore);
  return datastore;
}

function descriptor(size: number): string {
  const item = (lines: string) => `<Item>${lines}</Item>`;
  const cim = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2';
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="${cim}/CIM_ResourceAllocationSettingData" xmlns:vssd="${cim}/CIM_VirtualSystemSettingData">
  <References><File ovf:id="file1" ovf:href="stream.vmdk" ovf:size="${size}"/></References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="67108864"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="deployed"><Info>A machine</Info>
    <VirtualHardwareSection><Info>Hardware</Info>
      <System><vssd:ElementName>Hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      ${item('<rasd:ElementName>CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity>')}
      ${item('<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>Memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>128</rasd:VirtualQuantity>')}
      ${item('<rasd:Address>0</rasd:Address><rasd:ElementName>IDE 0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>5</rasd:ResourceType>')}
      ${item('<rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>Disk</rasd:ElementName><rasd:HostResource>ovf:/disk/disk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType>')}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>`;
}
