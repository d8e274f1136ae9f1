import { openExportedDisk, requirePrivilege, type TransferLeases } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference, type VirtualMachineTicket } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { askedDisk, namesOf, openChangedDisk } from '../changes/change-source.ts';
import { diskIdOf } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type ExportedChanges, type ExportSubject, type ExportWork, exportedView, exportName } from './export-work.ts';

/**
 * `nbd:2000` for the disk with that key, `nbd:2000:rw` to write it, `nbd:2000@3` as the snapshot with that id has it.
 * With `?since=ID` to read, what changed since that id is told as well.
 */
const form = /^nbd:(\d{1,10})(?:(:rw)|(?:@(\d{1,10}))?(?:\?since=([0-9a-f/-]{1,80}|\*))?)$/;

export function isDiskTicket(ticketType: string): boolean {
  return ticketType.startsWith('nbd');
}

type Disk = MachineRecord['configuration']['disks'][number];

export interface DiskTicketsOptions {
  readonly leases: TransferLeases;
  readonly exporting: ExportWork;
  /** Port of the NBD face; none where the host has none. */
  readonly port: (() => Promise<number>) | undefined;
  readonly sslThumbprint: () => string;
}

/**
 * Tickets for disks: names of exports of the NBD face, good for the minutes that a lease lasts, then while a
 * client is connected.
 * A machine that runs is read as it is moment by moment; one that is off is left alone meanwhile, and may be written.
 */
export class DiskTickets {
  readonly #core: HostCore;
  readonly #options: DiskTicketsOptions;

  constructor(core: HostCore, options: DiskTicketsOptions) {
    this.#core = core;
    this.#options = options;
  }

  async acquire(call: Call, machine: MachineRecord, ticketType: string): Promise<VirtualMachineTicket> {
    const [, digits, rw, uid, since] = form.exec(ticketType) ?? [];
    if (digits === undefined) {
      const reason = `'${ticketType.slice(0, 40)}' is not nbd:KEY, nbd:KEY:rw, nbd:KEY@SNAPSHOT, or one to read with ?since=ID.`;
      throw fault('InvalidArgument', { invalidProperty: 'ticketType' }, reason);
    }
    const writable = rw !== undefined;
    const privilege = `VirtualMachine.Provisioning.${writable ? 'DiskRandomAccess' : 'DiskRandomRead'}`;
    requirePrivilege(this.#core, call, machine.ref, privilege);
    const { port: face } = this.#options;
    if (face === undefined) throw fault('NotSupported', {}, 'This host exports no disks over NBD.');
    const subject: ExportSubject =
      uid === undefined ? { kind: 'machine', writable } : { kind: 'snapshot', uid: Number(uid) };
    const key = Number(digits);
    const view = exportedView(machine, subject);
    const disk = view.configuration.disks.find((candidate) => candidate.key === key);
    if (disk === undefined) {
      throw fault('InvalidArgument', { invalidProperty: 'ticketType' }, `The machine has no disk with key ${key}.`);
    }
    const snapshot = uid === undefined ? undefined : Number(uid);
    // An id that says nothing is refused before there is an export.
    if (since !== undefined) await namesOf(this.#core, askedDisk(machine, key, snapshot), since);
    const port = await face();
    const live = subject.kind === 'machine' && machine.powerState === 'poweredOn';
    const ticket = live
      ? await this.#ofRunning(call, machine, disk, { writable, since })
      : await this.#ofFiles(call, machine, subject, {
          fileName: exportName(view, key).fileName,
          ...(since === undefined ? {} : { changes: { key, since } }),
        });
    return {
      _typeName: 'VirtualMachineTicket',
      ticket,
      cfgFile: machine.datastore.format(machine.vmxPath),
      port,
      sslThumbprint: this.#options.sslThumbprint(),
      url: `nbds://*/${ticket}`,
    };
  }

  /** A machine that is off, and a snapshot, has its disks by an export of its own. */
  async #ofFiles(
    call: Call,
    machine: MachineRecord,
    subject: ExportSubject,
    { fileName, ...told }: { readonly fileName: string; readonly changes?: ExportedChanges },
  ): Promise<string> {
    const lease = await this.#options.exporting.begin(call, machine, subject, { endsWithClients: true, ...told });
    await lease.ready;
    const { registry } = this.#core;
    if (registry.read(lease.ref, 'state') !== 'ready') {
      const error = registry.read(lease.ref, 'error');
      throw fault('InvalidState', {}, error?.localizedMessage ?? 'The disk cannot be exported.');
    }
    return `${lease.path.slice('/nfc/'.length)}/${fileName}`;
  }

  /** The disk of a machine that runs is read through its engine, until that ends. */
  async #ofRunning(
    call: Call,
    machine: MachineRecord,
    disk: Disk,
    { writable, since }: { readonly writable: boolean; readonly since: string | undefined },
  ): Promise<string> {
    const engine = this.#core.machines.engine(machine.id);
    if (engine === undefined || writable) {
      const states = { requestedState: 'poweredOff', existingState: machine.powerState } as const;
      throw fault('InvalidPowerState', states, 'The disk of a machine that runs is its own to write.');
    }
    const facts = machine.disks.get(disk.key);
    const names = exportName(machine, disk.key);
    const lease = this.#options.leases.open({
      session: call.session,
      endsWithClients: true,
      entity: machine.ref as unknown as ManagedObjectReference<'ManagedEntity'>,
      targets: [
        {
          ...names,
          disk: true,
          ...(facts === undefined ? {} : { capacityBytes: facts.capacityBytes }),
          openDisk: async () => {
            if (since === undefined)
              return openExportedDisk(await engine.exportDisk(diskIdOf(machine.configuration, disk)));
            const now = this.#core.machines.get(machine.ref);
            return openChangedDisk(this.#core, askedDisk(now, disk.key, undefined), since);
          },
        },
      ],
      onComplete: async () => {},
      onAbort: async () => {},
    });
    const unsubscribe = engine.subscribe((event) => {
      if (event.kind !== 'ended') return;
      const states = { requestedState: 'poweredOn', existingState: 'poweredOff' } as const;
      void lease.abort(fault('InvalidPowerState', states, 'The machine does not run any more.'));
    });
    void lease.ended.then(unsubscribe);
    return `${lease.path.slice('/nfc/'.length)}/${names.fileName}`;
  }
}
