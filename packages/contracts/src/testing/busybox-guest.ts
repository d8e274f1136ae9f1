import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BlockLayer, DiskHardware, MachineHardware } from '../hardware.ts';
import type { RunningMachine } from '../hypervisor.ts';
import { bootableDisk } from './bootable-disk.ts';
import type { ConformanceGuest, GuestOptions, GuestSession } from './conformance-guest.ts';
import { GuestConsole } from './guest-console.ts';

const dataBytes = 16 << 20;
const bootBytes = 64 << 20;

/** A guest of 192 MiB on `bootableDisk`, with a data disk on a SCSI controller; every driver and test may use it. */
export const busyboxGuest: ConformanceGuest = {
  async prepare(options) {
    const boot = await bootableDisk({ agent: options.agent ?? false });
    const blank = join(options.folder, 'blank-flat.img');
    const file = await open(blank, 'w');
    await file.truncate(dataBytes);
    await file.close();
    const bootDisk = await withDelta(options, 'boot', boot, bootBytes);
    const dataDisk = await withDelta(options, 'data', blank, dataBytes);
    return hardware(options, [
      { ...bootDisk, controllerId: 'ide0', discardWrites: false },
      { ...dataDisk, controllerId: 'scsi0', discardWrites: options.discardWrites ?? false },
    ]);
  },

  async open(machine) {
    return session(machine);
  },
};

async function withDelta(
  { folder, images }: GuestOptions,
  name: string,
  basePath: string,
  virtualBytes: number,
): Promise<Pick<DiskHardware, 'id' | 'unit' | 'readOnly' | 'layers'>> {
  const base: BlockLayer = { format: 'raw', path: basePath };
  const path = join(folder, `${name}-delta.qcow2`);
  await images.createDelta({ path, virtualBytes, backing: { ...base, relativePath: basename(basePath) } });
  return { id: name, unit: 0, readOnly: false, layers: [{ format: 'qcow2', path }, base] };
}

function hardware(options: GuestOptions, disks: readonly DiskHardware[]): MachineHardware {
  return {
    uuid: options.uuid,
    name: 'conformance, with a comma',
    firmware: options.firmware ?? 'bios',
    cpus: 1,
    coresPerSocket: 1,
    memoryMiB: 192,
    guestId: 'otherLinux64Guest',
    controllers: [
      { id: 'ide0', model: 'ide', bus: 0 },
      { id: 'scsi0', model: 'pvscsi', bus: 0 },
    ],
    disks,
    cdroms: [{ id: 'cdrom0', controllerId: 'ide0', unit: 1 }],
    nics: [
      {
        id: 'ethernet0',
        model: 'virtio',
        mac: '52:54:00:12:34:56',
        connected: true,
        network: { kind: 'nat', forwards: [] },
      },
    ],
    serials: [{ id: 'serial0', logPath: join(options.folder, 'serial0.log') }],
    balloon: true,
    rng: true,
    vmport: true,
    guestAgent: options.agent ?? false,
    bootOrder: ['boot'],
    nvramPath: join(options.folder, 'machine.nvram'),
    clock: 'utc',
  };
}

/** The data disk in the guest, by its size: which disk is found first is chance. */
const dataDevice = `/dev/$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${dataBytes / 512} ] && echo $d; done)`;

async function session(machine: RunningMachine): Promise<GuestSession> {
  const guest = await GuestConsole.connect(machine.serialSocketPaths[0] ?? '');
  const digest = async () => (await guest.run('sha256sum /tmp/filled')).split(' ')[0] ?? '';
  return {
    ready: () => guest.ready(),
    async fillMemory() {
      await guest.run('head -c 8388608 /dev/urandom >/tmp/filled');
      return digest();
    },
    digestMemory: digest,
    uptimeSeconds: async () => Number((await guest.run('cat /proc/uptime')).split(' ')[0]),
    async writeDisk(text) {
      await guest.run(`printf %s '${text}' | dd of=${dataDevice} bs=512 conv=sync 2>/dev/null && sync`);
    },
    readDisk: (length) => guest.run(`head -c ${length} ${dataDevice} | tr '\\000' .`),
    typed: () => guest.run('cat /tmp/typed 2>/dev/null || true'),
    shutDown: () => guest.send('poweroff -f'),
    reboot: () => guest.send('reboot -f'),
    close: () => guest.close(),
  };
}
