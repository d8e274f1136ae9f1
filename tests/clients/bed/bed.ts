import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GuestConsole } from '@hypostyle/contracts/testing';
import { data } from '@hypostyle/vim';
import { Daemon } from '../../harness/daemon.ts';
import { monitorOf } from '../../harness/engine-monitor.ts';
import { argumentOf, type Engine, serialSocketOf } from '../../harness/engines.ts';
import {
  added,
  createMachine,
  eventually,
  guestSpec,
  machineSpec,
  placeGuestDisk,
} from '../../harness/guest-machine.ts';
import { type Endpoint, endpoints } from './case.ts';
import { Face } from './face.ts';

/** A machine without an operating system, with two disks: what drives power needs no more. */
export const emptyMachine = 'bed-empty';
/** A machine with the test guest and its agent. */
export const guestMachine = 'bed-guest';

/**
 * A center with its own host in one process, which answers at two addresses, and the machines that clients share: what
 * a client does at one endpoint is seen at the other.
 */
export class Bed implements AsyncDisposable {
  readonly daemon: Daemon;
  readonly faces: Readonly<Record<Endpoint, Face>>;

  private constructor(daemon: Daemon, faces: Readonly<Record<Endpoint, Face>>) {
    this.daemon = daemon;
    this.faces = faces;
  }

  /** Starts the daemon and makes the machines, the guest running. */
  static async open(options: { readonly listen?: string } = {}): Promise<Bed> {
    const daemon = await Daemon.start({ mode: 'center', ...options });
    try {
      const [host, center] = await Promise.all(endpoints.map((each) => Face.open(daemon, each)));
      if (host === undefined || center === undefined) throw new Error('an endpoint is missing');
      const bed = new Bed(daemon, { host, center });
      await createMachine(host.client, {
        ...machineSpec(emptyMachine),
        deviceChange: [
          added(data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' })),
          ...[0, 1].map((unitNumber) => ({
            ...added(
              data('VirtualDisk', {
                key: -20 - unitNumber,
                controllerKey: -10,
                unitNumber,
                capacityInKB: 8192,
                backing: data('VirtualDiskFlatVer2BackingInfo', {
                  fileName: '',
                  diskMode: 'persistent',
                  thinProvisioned: true,
                }),
              }),
            ),
            fileOperation: 'create' as const,
          })),
        ],
      });
      await placeGuestDisk(daemon, `images-${guestMachine}`, true);
      const guest = guestSpec(
        { name: guestMachine, controller: 'scsi' },
        `[datastore1] images-${guestMachine}/boot.vmdk`,
      );
      const drive = data('VirtualCdrom', {
        key: -4,
        controllerKey: 201,
        unitNumber: 0,
        backing: data('VirtualCdromRemotePassthroughBackingInfo', { deviceName: '', exclusive: false }),
      });
      await createMachine(host.client, { ...guest, deviceChange: [...(guest.deviceChange ?? []), added(drive)] });
      await bed.guestReady();
      return bed;
    } catch (error) {
      await daemon.remove();
      throw error;
    }
  }

  /** Brings a machine into a state, and waits until both endpoints say so. */
  async power(name: string, wanted: 'poweredOn' | 'poweredOff' | 'suspended'): Promise<void> {
    const { host } = this.faces;
    const machine = await host.machine(name);
    const state = await this.powerState(name, 'host');
    if (state !== wanted) {
      if (wanted === 'poweredOff') await host.task(machine, 'PowerOffVM_Task');
      if (wanted !== 'poweredOff' && state !== 'poweredOn') await host.task(machine, 'PowerOnVM_Task');
      if (wanted === 'suspended') await host.task(machine, 'SuspendVM_Task');
    }
    for (const endpoint of endpoints) await this.isSeen(name, wanted, endpoint);
  }

  async powerState(name: string, endpoint: Endpoint): Promise<string> {
    const face = this.faces[endpoint];
    return face.property(await face.machine(name), 'runtime.powerState');
  }

  /** Waits until an endpoint shows a state. */
  async isSeen(name: string, wanted: string, endpoint: Endpoint): Promise<void> {
    const seen = async () => (await this.powerState(name, endpoint).catch(() => undefined)) === wanted;
    await eventually(seen, `${name} to be ${wanted} at the ${endpoint}`, 120_000);
  }

  /** Waits until no endpoint has a machine of the name. */
  async isGone(name: string): Promise<void> {
    for (const endpoint of endpoints) {
      const gone = () =>
        this.faces[endpoint].machine(name).then(
          () => false,
          () => true,
        );
      await eventually(gone, `${name} to be gone at the ${endpoint}`, 120_000);
    }
  }

  /** The guest runs, its agent answers, and its shell listens. */
  async guestReady(): Promise<void> {
    const boots = (await this.powerState(guestMachine, 'host')) === 'poweredOff';
    await this.power(guestMachine, 'poweredOn');
    if (boots) {
      const console = await this.console();
      await console.ready();
      console.close();
    }
    for (const endpoint of endpoints) {
      const face = this.faces[endpoint];
      const machine = await face.machine(guestMachine);
      const running = async () => (await face.property(machine, 'guest.toolsRunningStatus')) === 'guestToolsRunning';
      await eventually(running, `the agent of the guest to be seen at the ${endpoint}`, 300_000);
    }
  }

  /** Runs a shell command in the guest, past every interface. */
  async inGuest(command: string): Promise<string> {
    const console = await this.console();
    try {
      return await console.run(command, 120_000);
    } finally {
      console.close();
    }
  }

  /** The shell on the serial port of the guest. */
  async console(): Promise<GuestConsole> {
    return GuestConsole.connect(serialSocketOf(await this.engine(guestMachine)));
  }

  /** The engine of a machine, if it runs. */
  async engineOf(name: string): Promise<Engine | undefined> {
    const { host } = this.faces;
    const uuid = await host.property<string>(await host.machine(name), 'config.uuid');
    return (await this.daemon.engines()).find((engine) => argumentOf(engine, '-uuid') === uuid);
  }

  async engine(name: string): Promise<Engine> {
    const engine = await this.engineOf(name);
    if (engine === undefined) throw new Error(`no engine of ${name} runs`);
    return engine;
  }

  /** A command of QMP to the engine of a machine. */
  async monitor<T>(name: string, command: string, parameters: object = {}): Promise<T> {
    const monitor = await monitorOf(await this.engine(name));
    try {
      return (await monitor.execute(command, parameters)) as T;
    } finally {
      await monitor.close();
    }
  }

  /** Path of a file on the datastore. */
  path(...names: readonly string[]): string {
    return join(this.daemon.datastore, ...names);
  }

  vmx(name: string): Promise<string> {
    return readFile(this.path(name, `${name}.vmx`), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const face of Object.values(this.faces)) await face[Symbol.asyncDispose]().catch(() => {});
    await this.daemon.remove();
  }
}
