import type { GuestConsole } from '@hypostyle/contracts/testing';
import { data } from '@hypostyle/vim';
import type { Center } from './center.ts';
import { onConsole } from './guest-console.ts';
import { added, eventually, guestSpec, type Machine, placeGuestDisk, powerOn } from './guest-machine.ts';

/** A guest that boots, or answers, has this long on a machine that does much else. */
export const guestLimit = 180_000;
/** Bytes of the disk that the guest writes, device key 2000; the one that it boots from has another size. */
export const dataBytes = 8 << 20;
/** That disk in the guest, by its size: which disk is found first is chance. */
export const dataDevice = `/dev/$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${dataBytes / 512} ] && echo $d; done)`;

/** A machine of a center whose guest boots from a disk in its own folder, and has a disk to write; it is off. */
export async function createWrittenGuest(center: Center, name: string, changeTracking: boolean): Promise<Machine> {
  // A disk whose changes are told lies in the folder of its machine.
  await placeGuestDisk(center.daemon, name, false);
  const spec = guestSpec({ name }, `[datastore1] ${name}/boot.vmdk`);
  const disk = data('VirtualDisk', {
    key: -11,
    controllerKey: -10,
    unitNumber: 0,
    capacityInKB: dataBytes / 1024,
    backing: data('VirtualDiskFlatVer2BackingInfo', { fileName: '', diskMode: 'persistent', thinProvisioned: true }),
  });
  return center.create({
    ...spec,
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: `[datastore1] ${name}/${name}.vmx` },
    changeTrackingEnabled: changeTracking,
    deviceChange: [
      ...(spec.deviceChange ?? []),
      added(data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' })),
      { ...added(disk), fileOperation: 'create' },
    ],
  });
}

/** Uses the console of a machine's guest. */
export async function inGuest<T>(
  center: Center,
  machine: Machine,
  use: (console: GuestConsole) => Promise<T>,
): Promise<T> {
  return onConsole(center.daemon, await center.property<string>(machine, 'config.uuid'), use);
}

/** Powers a machine on and waits for its guest, or off. */
export async function setRunning(center: Center, machine: Machine, wanted: boolean): Promise<void> {
  if (((await center.property(machine, 'runtime.powerState')) === 'poweredOn') === wanted) return;
  if (wanted) {
    await powerOn(center.client, machine);
    await inGuest(center, machine, (console) => console.ready(guestLimit));
  } else await center.client.waitForTask(await center.client.call(machine, 'PowerOffVM_Task', {}));
}

/** Runs commands on the disk, which is `$disk`, and answers its SHA-256 then. */
export async function writtenByGuest(center: Center, machine: Machine, commands = ':'): Promise<string> {
  const look = 'sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum $disk';
  const said = await inGuest(center, machine, (console) =>
    console.run(`disk=${dataDevice}; ${commands}; ${look}`, guestLimit),
  );
  return said.slice(0, 64);
}

/** Waits until the center shows the machine as its host has it, after a restart. */
export async function isConnected(center: Center, machine: Machine): Promise<void> {
  await eventually(
    async () => (await center.property(machine, 'runtime.connectionState')) === 'connected',
    'the machine is there again',
    guestLimit,
  );
}
