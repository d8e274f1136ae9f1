import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type BlockLayer, type MachineHardware, nicModels, type StartRequest, soundModels } from '@hypostyle/contracts';
import { supportedControllers } from './machine/controllers.ts';
import { QemuHypervisor } from './qemu-hypervisor.ts';

const run = promisify(execFile);
/** Writes `B` to the first serial port and halts: `mov dx, 0x3f8; mov al, 'B'; out dx, al; hlt; jmp $-1`. */
const bootCode = Buffer.from('baf803b042eef4ebfd', 'hex');
const diskBytes = 1 << 20;

let root: string;
let hypervisor: QemuHypervisor;
let machines = 0;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'dev-'));
  hypervisor = new QemuHypervisor({ cacheDirectory: join(root, 'cache') });
  const disk = Buffer.alloc(diskBytes);
  bootCode.copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  await writeFile(join(root, 'boot.img'), disk);
});

after(async () => {
  await hypervisor.detach();
  await rm(root, { recursive: true, force: true });
});

async function request(layers: readonly BlockLayer[], change: Partial<MachineHardware> = {}): Promise<StartRequest> {
  const uuid = randomUUID();
  const folder = join(root, `m${machines++}`);
  await mkdir(folder);
  const hardware: MachineHardware = {
    uuid,
    name: 'devices',
    firmware: 'bios',
    cpus: 1,
    coresPerSocket: 1,
    memoryMiB: 64,
    guestId: 'otherGuest',
    controllers: [{ id: 'c0', model: 'ide', bus: 0 }],
    disks: [{ id: 'boot', controllerId: 'c0', unit: 0, layers, readOnly: false, discardWrites: false }],
    cdroms: [],
    nics: [],
    serials: [{ id: 'serial0', logPath: join(folder, 'serial.log') }],
    balloon: false,
    rng: false,
    vmport: true,
    guestAgent: false,
    bootOrder: ['boot'],
    nvramPath: join(folder, 'nvram'),
    clock: 'utc',
    ...change,
  };
  return {
    uuid,
    hardware,
    runDirectory: join(folder, 'run'),
    lockPath: join(folder, 'vm.lck'),
    logPath: join(folder, 'engine.log'),
  };
}

/** Starts a machine whose boot sector must run. */
async function boots(asked: StartRequest): Promise<void> {
  const machine = await hypervisor.start(asked);
  try {
    const log = asked.hardware.serials[0]?.logPath ?? '';
    let said = '';
    for (let waited = 0; waited < 500 && said === ''; waited += 1) {
      said = await readFile(log, 'utf8').catch(() => '');
      if (said === '') await sleep(20);
    }
    assert.equal(said, 'B');
    const [disk] = (await machine.usage()).disks;
    assert.ok(disk?.id === 'boot' && disk.readBytes >= 512, JSON.stringify(disk));
  } finally {
    await machine.powerOff();
  }
}

const flat = (): BlockLayer[] => [{ format: 'raw', path: join(root, 'boot.img') }];

for (const model of supportedControllers) {
  it(`boots from a disk on ${model}`, async () => {
    await boots(await request(flat(), { controllers: [{ id: 'c0', model, bus: 0 }] }));
  });
}

it('starts with every NIC model, connected or not', async () => {
  const nics = nicModels.map((model, index) => ({
    id: `ethernet${index}`,
    model,
    mac: `00:50:56:00:00:0${index}`,
    connected: index % 2 === 0,
    network: index === 1 ? ({ kind: 'none' } as const) : ({ kind: 'nat', forwards: [] } as const),
  }));
  await boots(await request(flat(), { nics, cpus: 2, coresPerSocket: 2 }));
});

for (const sound of soundModels) {
  it(`boots with everything that a machine can have besides, sound by ${sound}`, async () => {
    const floppy = join(root, `${sound}.flp`);
    await writeFile(floppy, Buffer.alloc(1_474_560));
    const asked = await request(flat(), {
      sound,
      usb: { uhci: true, ehci: true, xhci: true },
      videoMemoryMiB: 4,
      floppies: [
        { id: 'floppy0', unit: 0, path: floppy },
        { id: 'floppy1', unit: 1 },
      ],
      hotPlug: { maxCpus: 8, maxMemoryMiB: 4096 },
      bootDelayMilliseconds: 1,
      bootRetryMilliseconds: 1000,
    });
    const disks = asked.hardware.disks.map((disk) => ({ ...disk, writeThrough: true }));
    await boots({ ...asked, hardware: { ...asked.hardware, disks } });
  });
}

it('boots from what VMware wrote, read-only under a delta: one file, several, or inside an archive', async () => {
  const boot = join(root, 'boot.img');
  const delta = async (name: string, base: BlockLayer): Promise<BlockLayer[]> => {
    const path = join(root, `${name}.qcow2`);
    await hypervisor.images.createDelta({ path, virtualBytes: diskBytes, backing: { ...base, relativePath: name } });
    return [{ format: 'qcow2', path }, base];
  };
  for (const subformat of ['monolithicSparse', 'streamOptimized', 'twoGbMaxExtentSparse', 'monolithicFlat']) {
    const path = join(root, `${subformat}.vmdk`);
    await run('qemu-img', ['convert', '-q', '-O', 'vmdk', '-o', `subformat=${subformat}`, boot, path]);
    const before = await readFile(path);
    await boots(await request(await delta(subformat, { format: 'vmdk', path })));
    assert.ok(before.equals(await readFile(path)), 'the base was written');
    assert.equal((await hypervisor.images.inspect({ format: 'vmdk', path })).virtualBytes, diskBytes);
  }
  const disk = await readFile(join(root, 'streamOptimized.vmdk'));
  const path = join(root, 'appliance.ova');
  await writeFile(path, Buffer.concat([Buffer.alloc(1536), disk, Buffer.alloc(1024)]));
  await boots(await request(await delta('appliance', { format: 'vmdk', path, offset: 1536, length: disk.length })));
});
