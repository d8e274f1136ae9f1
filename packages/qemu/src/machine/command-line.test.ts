import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type ControllerModel, HypervisorError, type MachineHardware } from '@hypostyle/contracts';
import fc from 'fast-check';
import { type CommandLineOptions, commandLine, engineMemoryKiB } from './command-line.ts';
import { RunDirectory } from './run-directory.ts';

const hardware: MachineHardware = {
  uuid: '11111111-2222-3333-4444-555555555555',
  name: 'db, first',
  firmware: 'bios',
  cpus: 4,
  coresPerSocket: 2,
  memoryMiB: 256,
  guestId: 'debian12_64Guest',
  controllers: [
    { id: 'ide0', model: 'ide', bus: 0 },
    { id: 'scsi0', model: 'pvscsi', bus: 0 },
    { id: 'scsi1', model: 'lsilogic', bus: 1 },
    { id: 'scsi2', model: 'lsisas1068', bus: 2 },
    { id: 'sata0', model: 'ahci', bus: 0 },
    { id: 'nvme0', model: 'nvme', bus: 0 },
  ],
  disks: [
    {
      id: 'root',
      controllerId: 'scsi0',
      unit: 3,
      layers: [
        { format: 'qcow2', path: '/vm/a-000001-delta.qcow2' },
        { format: 'vmdk', path: '/vm/a.ova', offset: 1536, length: 1024 },
      ],
      readOnly: false,
      discardWrites: false,
      serial: 'S1',
    },
  ],
  cdroms: [{ id: 'cd', controllerId: 'ide0', unit: 1, path: '/iso/x.iso' }],
  nics: [
    {
      id: 'ethernet0',
      model: 'vmxnet3',
      mac: '00:50:56:00:00:01',
      connected: true,
      network: {
        kind: 'nat',
        forwards: [{ protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 2222, guestPort: 22 }],
      },
    },
  ],
  serials: [{ id: 'serial0', logPath: '/vm/serial,0.log' }],
  balloon: true,
  rng: true,
  vmport: true,
  guestAgent: true,
  bootOrder: ['root', 'cd'],
  nvramPath: '/vm/a.nvram',
  clock: 'utc',
};

function build(change: Partial<MachineHardware> = {}, options: Partial<CommandLineOptions> = {}): string[] {
  return commandLine({
    program: '/usr/bin/qemu-system-x86_64',
    hardware: { ...hardware, ...change },
    platform: { machineType: 'pc-i440fx-7.2', cpuModel: 'base,sse2=on' },
    accelerator: 'tcg',
    memoryKiB: 262_136,
    run: new RunDirectory('/run/hypostyle/x', '0a'),
    lockPath: '/vm/vm.lck',
    directIo: new Set(['root']),
    discardFiles: new Map(),
    incoming: false,
    ...options,
  });
}

/** Values of every option of a name; those that are JSON, parsed. */
function values(command: readonly string[], name: string): unknown[] {
  return command.flatMap((argument, index) => {
    if (argument !== name) return [];
    const value = command[index + 1] ?? '';
    return [value.startsWith('{') ? (JSON.parse(value) as unknown) : value];
  });
}

function device(command: readonly string[], id: string): unknown {
  return values(command, '-device').find((value) => (value as { id?: string }).id === id);
}

function refuses(change: Partial<MachineHardware>, message: RegExp): void {
  assert.throws(
    () => build(change),
    (error) => error instanceof HypervisorError && error.code === 'unsupported-hardware' && message.test(error.message),
  );
}

it('takes the lock, builds the machine and starts nothing by itself', () => {
  const command = build();
  assert.deepEqual(command.slice(0, 7), [
    ...['flock', '--no-fork', '--nonblock', '--conflict-exit-code', '75', '/vm/vm.lck'],
    '/usr/bin/qemu-system-x86_64',
  ]);
  for (const flag of ['-nodefaults', '-S', '-no-shutdown']) assert.ok(command.includes(flag), flag);
  assert.deepEqual(values(command, '-machine'), ['pc-i440fx-7.2,vmport=on']);
  assert.deepEqual(values(command, '-smp'), ['cpus=4,sockets=2,cores=2,threads=1']);
  assert.deepEqual(values(command, '-m'), ['262136K']);
  assert.deepEqual(values(command, '-boot'), ['menu=off,strict=on']);
  assert.match(String(values(command, '-name')[0]), /^guest=db,, first 11111111-/);
  assert.match(String(values(command, '-sandbox')[0]), /spawn=deny/);
  assert.equal(values(command, '-mon').length, 2);
  assert.equal(values(build({}, { incoming: true }), '-incoming')[0], 'defer');
});

it('writes a raw file through the image that keeps what changed in it', () => {
  const [disk] = hardware.disks;
  const base = { format: 'raw', path: '/vm/a-flat.vmdk', changesPath: '/vm/a-ctk.qcow2' } as const;
  const nodes = values(build({ disks: [{ ...disk!, layers: [base] }] }), '-blockdev') as Record<string, unknown>[];
  const changes = nodes.find((node) => node['node-name'] === 'disk0-0');
  assert.equal(changes?.driver, 'qcow2');
  assert.equal(changes?.file, 'disk0-0-changes');
  assert.equal(changes?.['data-file'], 'disk0-0-bytes');
  assert.equal(nodes.find((node) => node['node-name'] === 'disk0-0-changes')?.filename, '/vm/a-ctk.qcow2');
  // The layer is still found by the file that has the bytes.
  assert.equal(nodes.find((node) => node['node-name'] === 'disk0-0-file')?.filename, '/vm/a-flat.vmdk');
});

it('names every layer, its format and its backing, and writes the top alone', () => {
  assert.deepEqual(values(build(), '-blockdev').slice(0, 5), [
    { driver: 'file', 'node-name': 'disk0-1-file', filename: '/vm/a.ova', 'read-only': true },
    { driver: 'raw', 'node-name': 'disk0-1-slice', file: 'disk0-1-file', offset: 1536, size: 1024, 'read-only': true },
    { driver: 'vmdk', 'node-name': 'disk0-1', file: 'disk0-1-slice', 'read-only': true, backing: null },
    {
      driver: 'file',
      'node-name': 'disk0-0-file',
      filename: '/vm/a-000001-delta.qcow2',
      'read-only': false,
      discard: 'unmap',
      cache: { direct: true },
    },
    {
      driver: 'qcow2',
      'node-name': 'disk0-0',
      file: 'disk0-0-file',
      'read-only': false,
      discard: 'unmap',
      backing: 'disk0-1',
    },
  ]);
});

it('puts the writes of a disk that forgets into an overlay', () => {
  const [disk] = hardware.disks;
  const layers = [{ format: 'raw' as const, path: '/vm/flat' }];
  const disks = [{ ...disk!, layers, discardWrites: true }];
  const nodes = values(build({ disks }, { discardFiles: new Map([['root', '/vm/o']]) }), '-blockdev') as {
    filename?: string;
    'read-only'?: boolean;
  }[];
  assert.deepEqual(
    nodes
      .filter((node) => node['read-only'] === false)
      .map((node) => node.filename)
      .filter(Boolean),
    ['/vm/o'],
  );
});

it('puts devices where the guest looks for them', () => {
  const command = build();
  assert.deepEqual(device(command, 'disk-root'), {
    driver: 'scsi-hd',
    id: 'disk-root',
    drive: 'disk0-0',
    bus: 'controller-scsi0.0',
    'scsi-id': 3,
    lun: 0,
    bootindex: 0,
    serial: 'S1',
  });
  assert.deepEqual(device(command, 'cdrom-cd'), {
    driver: 'ide-cd',
    id: 'cdrom-cd',
    drive: 'cdrom0',
    bus: 'ide.0',
    unit: 1,
    bootindex: 1,
  });
  assert.deepEqual(device(command, 'nic-ethernet0'), {
    driver: 'vmxnet3',
    id: 'nic-ethernet0',
    mac: '00:50:56:00:00:01',
    addr: '0x13',
    netdev: 'nic-ethernet0-net',
    romfile: '',
  });
  assert.deepEqual(values(command, '-netdev'), ['user,id=nic-ethernet0-net,hostfwd=tcp:127.0.0.1:2222-:22']);
  assert.ok(
    values(command, '-chardev').some((value) => String(value).endsWith('logfile=/vm/serial,,0.log,logappend=on')),
  );
  const slots = values(command, '-device')
    .map((value) => (value as { addr?: string }).addr)
    .filter(Boolean);
  assert.equal(new Set(slots).size, slots.length);
});

it('has USB, for which firmware waits, only where there is no other absolute pointer', () => {
  const drivers = (vmport: boolean) =>
    values(build({ vmport }), '-device').map((value) => (value as { driver: string }).driver);
  assert.ok(drivers(false).includes('usb-tablet'));
  assert.ok(!drivers(true).includes('qemu-xhci'));
});

it('refuses by name what QEMU does not have', () => {
  const [disk] = hardware.disks;
  const controllers = (model: ControllerModel) => [{ id: 'scsi0', model, bus: 0 }];
  refuses({ controllers: controllers('buslogic'), cdroms: [] }, /buslogic/);
  refuses({ controllers: controllers('lsilogic'), cdroms: [], disks: [{ ...disk!, unit: 8 }] }, /units 0 to 6/);
  refuses({ disks: [{ ...disk!, layers: [{ format: 'vmdk', path: '/x' }] }] }, /read only/);
  refuses({ disks: [{ ...disk!, layers: [] }] }, /no layer/);
  refuses({ disks: [{ ...disk!, controllerId: 'x' }] }, /no controller x/);
  refuses({ disks: [{ ...disk!, controllerId: 'ide0', unit: 0, readOnly: true }] }, /cannot be read-only/);
  refuses({ disks: [disk!, disk!] }, /twice/);
  refuses({ uuid: 'x' }, /UUID/);
  refuses({ cpus: 300 }, /1 to 255/);
  refuses({ nics: [{ ...hardware.nics[0]!, mac: '00:50:56:00:00:01,x=y' }] }, /MAC/);
  assert.throws(() => new RunDirectory(`/${'x'.repeat(100)}`, '0a'), /too long/);
});

it('lets no text of the owner become an option of the engine', () => {
  const text = fc.string({ minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(text, text, text, (name, id, path) => {
      const [disk] = hardware.disks;
      let command: string[];
      try {
        const layers = [{ format: 'raw' as const, path: `/${path}` }];
        command = build({ name, disks: [{ ...disk!, id, layers }], bootOrder: [id] });
      } catch (error) {
        assert.ok(error instanceof HypervisorError);
        return;
      }
      assert.equal(command.length, build({ disks: [{ ...disk!, layers: [disk!.layers[0]!] }], bootOrder: [] }).length);
      assert.ok(
        (values(command, '-blockdev') as { filename?: string }[]).some(({ filename }) => filename === `/${path}`),
      );
    }),
    { numRuns: 50 },
  );
});

it('gives a machine under TCG no memory of a multiple of 256 KiB', () => {
  assert.equal(engineMemoryKiB(256, 'kvm'), 262_144);
  assert.notEqual(engineMemoryKiB(256, 'tcg') % 256, 0);
});

it('leaves room for what comes while the machine runs', () => {
  const room = build({ hotPlug: { maxCpus: 17, maxMemoryMiB: 4096 } });
  assert.deepEqual(values(room, '-smp'), ['cpus=4,sockets=8,cores=2,threads=1,maxcpus=16']);
  assert.deepEqual(values(room, '-m'), ['size=262136K,slots=32,maxmem=4096M']);
  const none = build({ hotPlug: { maxCpus: 4, maxMemoryMiB: hardware.memoryMiB } });
  assert.deepEqual([values(none, '-smp'), values(none, '-m')], [values(build(), '-smp'), values(build(), '-m')]);
  refuses({ hotPlug: { maxCpus: 300, maxMemoryMiB: 0 } }, /300 CPUs/);
});

it('builds what a machine has besides disks and networks', () => {
  const command = build({
    usb: { uhci: true, ehci: true, xhci: true },
    sound: 'hdaudio',
    videoMemoryMiB: 64,
    floppies: [{ id: 'floppy1', unit: 1, path: '/vm/boot.flp' }],
    bootDelayMilliseconds: 2500,
    bootRetryMilliseconds: 10_000,
  });
  const devices = values(command, '-device') as Record<string, unknown>[];
  const drivers = devices.map(({ driver }) => driver);
  for (const driver of ['piix3-usb-uhci', 'usb-ehci', 'qemu-xhci', 'usb-kbd', 'hda-duplex', 'floppy'])
    assert.ok(drivers.includes(driver), driver);
  assert.equal(devices.find(({ driver }) => driver === 'VGA')?.vgamem_mb, 64);
  assert.deepEqual(values(command, '-audiodev'), ['none,id=sound']);
  assert.deepEqual(values(command, '-boot'), ['menu=on,splash-time=2500,reboot-timeout=10000,strict=on']);
  const addresses = devices.flatMap(({ addr }) => (addr === undefined ? [] : [addr]));
  assert.equal(new Set(addresses).size, addresses.length, 'two devices in one slot');
  refuses({ videoMemoryMiB: 5 }, /video memory/);
  refuses({ floppies: [{ id: 'floppy2', unit: 2 }] }, /drives 0 and 1/);
});

it('keeps an adapter in its slot when others come or go', () => {
  const nic = { id: 'a', model: 'e1000' as const, mac: '00:50:56:00:00:09', connected: true };
  const at = (slot: number) => device(build({ nics: [{ ...nic, network: { kind: 'none' }, slot }] }), 'nic-a');
  assert.equal((at(3) as { readonly addr: string }).addr, '0x16');
  refuses({ nics: [{ ...nic, network: { kind: 'none' }, slot: 10 }] }, /10 NICs/);
});
