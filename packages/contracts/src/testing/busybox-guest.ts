import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BlockLayer, DiskHardware, MachineHardware } from '../hardware.ts';
import type { RunningMachine } from '../hypervisor.ts';
import { bootableDisk } from './bootable-disk.ts';
import type { ConformanceGuest, GuestHardware, GuestOptions, GuestSession } from './conformance-guest.ts';
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
      { ...bootDisk, ...bootPlace(options), discardWrites: false },
      { ...dataDisk, controllerId: 'scsi0', discardWrites: options.discardWrites ?? false },
    ]);
  },

  async open(machine) {
    return session(machine);
  },
};

/**
 * From an IDE disk the BIOS reads the kernel word by word, which is half of an emulated guest's start; an EFI firmware
 * may have no driver for the other controller.
 */
function bootPlace({ firmware }: GuestOptions): Pick<DiskHardware, 'controllerId' | 'unit'> {
  return firmware === 'efi' ? { controllerId: 'ide0', unit: 0 } : { controllerId: 'scsi0', unit: 1 };
}

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
    // The disk has no loader for EFI: the firmware's shell starts its system. With a network card the firmware would try
    // that first where it does not follow the boot order, for minutes.
    nics:
      options.firmware === 'efi'
        ? []
        : [
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
    hardware: async () => guestHardware(await guest.run(hardwareScript)),
    // A drive whose disc was changed says so to the first who asks, as an error.
    readDisc: (length) =>
      guest.run(`for n in 1 2 3 4; do disc=$(head -c ${length} /dev/sr0 2>/dev/null) && break; done; echo "$disc"`),
    guestData: (name) => guest.run(`cat '/sys/firmware/qemu_fw_cfg/by_name/opt/${name}/raw' 2>/dev/null || true`),
    receive: async (port) =>
      Number(await guest.run(`${networkScript}; nc ${hostAddress} ${port} </dev/null | wc -c`, 120_000)),
    send: async (port, bytes) =>
      void (await guest.run(`${networkScript}; head -c ${bytes} /dev/zero | nc ${hostAddress} ${port}`, 120_000)),
    typed: () => guest.run('cat /tmp/typed 2>/dev/null || true'),
    shutDown: () => guest.send('poweroff -f'),
    reboot: () => guest.send('reboot -f'),
    close: () => guest.close(),
  };
}

/** Where address translation has the host, for guests. */
const hostAddress = '10.0.2.2';
const networkScript =
  'ip route show | grep -q default || { n=$(ls /sys/class/net | grep ^e); ip link set $n up; ip addr add 10.0.2.15/24 dev $n; ip route add default via 10.0.2.2; }';

/** A link shows only while the interface is up. */
const hardwareScript = [
  'for n in /sys/class/net/e*; do [ -e $n ] && ip link set $(basename $n) up && echo nic $(cat $n/address) $(cat $n/carrier); done',
  // Linux asks a SCSI disk for its size when it is told to.
  'for d in /sys/block/sd*; do [ -e $d ] && echo 1 >$d/device/rescan && echo disk $(cat $d/size); done',
  'echo cpu $(ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l)',
  'echo memory $(ls -d /sys/devices/system/memory/memory[0-9]* | wc -l) $(cat /sys/devices/system/memory/block_size_bytes)',
].join('; ');

function guestHardware(said: string): GuestHardware {
  const lines = said.split('\n').map((line) => line.trim().split(' '));
  const of = (kind: string) => lines.filter(([word]) => word === kind).map(([, ...rest]) => rest);
  const [blocks = '0', blockBytes = '0'] = of('memory')[0] ?? [];
  return {
    processors: Number(of('cpu')[0]?.[0]),
    memoryMiB: (Number(blocks) * Number.parseInt(blockBytes, 16)) / 2 ** 20,
    diskBytes: of('disk')
      .map(([sectors]) => Number(sectors) * 512)
      .sort((a, b) => a - b),
    nics: of('nic').map(([mac = '', link]) => ({ mac, link: link === '1' })),
  };
}
