import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, data, type ManagedObjectReference } from '@hypostyle/vim';
import type { Daemon } from '../../tests/harness/daemon.ts';
import { added, createMachine, type Machine, machineSpec } from '../../tests/harness/guest-machine.ts';
import { SerialFile, writeBootSector } from './boot-sector.ts';

export interface OurMachineOptions {
  readonly name: string;
  readonly memoryMiB: number;
  readonly diskBytes: number;
}

/** A machine of ours whose guest tells of its first instructions, driven by a client over HTTPS. */
export class OurMachine {
  readonly #client: Client;
  readonly #machine: Machine;
  readonly #serial: SerialFile;

  private constructor(client: Client, machine: Machine, serial: SerialFile) {
    this.#client = client;
    this.#machine = machine;
    this.#serial = serial;
  }

  /** PVSCSI, VMXNET3, and what each machine is given: balloon, random numbers, the guest agent's port, graphics. */
  static async create(client: Client, daemon: Daemon, options: OurMachineOptions): Promise<OurMachine> {
    const { name, memoryMiB, diskBytes } = options;
    const folder = join(daemon.datastore, `${name}-disk`);
    await mkdir(folder);
    await writeBootSector(join(folder, 'boot-flat.vmdk'), diskBytes);
    const lines = ['version=1', 'CID=12345678', 'parentCID=ffffffff', 'createType="vmfs"'];
    const extent = `RW ${diskBytes / 512} VMFS "boot-flat.vmdk"`;
    await writeFile(join(folder, 'boot.vmdk'), ['# Disk DescriptorFile', ...lines, extent, ''].join('\n'));
    const disk = { fileName: `[datastore1] ${name}-disk/boot.vmdk`, diskMode: 'persistent' };
    const network = data('VirtualEthernetCardNetworkBackingInfo', { deviceName: 'VM Network' });
    const file = data('VirtualSerialPortFileBackingInfo', { fileName: `[datastore1] ${name}/serial.log` });
    const machine = await createMachine(client, {
      ...machineSpec(name, memoryMiB),
      deviceChange: [
        added(data('ParaVirtualSCSIController', { key: -1, busNumber: 0, sharedBus: 'noSharing' })),
        added(
          data('VirtualDisk', {
            key: -2,
            controllerKey: -1,
            unitNumber: 0,
            capacityInKB: 0,
            backing: data('VirtualDiskFlatVer2BackingInfo', disk),
          }),
        ),
        added(data('VirtualVmxnet3', { key: -3, backing: network })),
        added(data('VirtualSerialPort', { key: -4, yieldOnPoll: true, backing: file })),
      ],
    });
    return new OurMachine(client, machine, await SerialFile.at(join(daemon.datastore, name, 'serial.log')));
  }

  /** Milliseconds from the client's call to the guest's first instructions; the task has ended when it resolves. */
  async powerOn(): Promise<number> {
    const before = await this.#serial.bytes;
    const began = performance.now();
    const task = this.#client.call(this.#machine, 'PowerOnVM_Task', {});
    // A start that fails is told, and not waited for.
    const ended = task.then((reference) => this.#client.waitForTask(reference));
    const failed = ended.then(() => new Promise<never>(() => {}));
    await Promise.race([this.#serial.grows(before), failed]);
    const taken = performance.now() - began;
    await ended;
    return taken;
  }

  /** Milliseconds until the task has ended. */
  async snapshot(memory: boolean): Promise<number> {
    const spec = { name: 'snapshot', memory, quiesce: false };
    return this.#timed(this.#client.call(this.#machine, 'CreateSnapshot_Task', spec));
  }

  /** Milliseconds until the task has ended. */
  revert(): Promise<number> {
    return this.#timed(this.#client.call(this.#machine, 'RevertToCurrentSnapshot_Task', {}));
  }

  async removeSnapshots(): Promise<void> {
    await this.#timed(this.#client.call(this.#machine, 'RemoveAllSnapshots_Task', {}));
  }

  async powerOff(): Promise<void> {
    await this.#timed(this.#client.call(this.#machine, 'PowerOffVM_Task', {}));
  }

  close(): void {
    this.#serial.close();
  }

  async #timed(call: Promise<ManagedObjectReference<'Task'>>): Promise<number> {
    const began = performance.now();
    await this.#client.waitForTask(await call);
    return performance.now() - began;
  }
}
