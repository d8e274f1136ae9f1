import { type OpenedLease, writeBundle } from '@hypostyle/services';
import { type Call, fault, type VirtualMachineTicket } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { isCenter } from '../../management/center-account.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { copiedFolder } from './copied-folder.ts';
import { type ExportSubject, type ExportWork, exportedView } from './export-work.ts';
import { parseFolderForm } from './folder-form.ts';
import { movedFolder } from './moved-folder.ts';

export { isFolderTicket } from './folder-form.ts';

const fileName = 'machine.bundle';

/**
 * Tickets by which a center has a machine's folder brought to another host. The machine is left alone as long as the
 * lease lasts that the ticket names; its address is good until then, to read, for whoever has it: 128 random bits.
 */
export class FolderTickets {
  readonly #core: HostCore;
  readonly #exporting: ExportWork;
  /** Leases that last, by machine and arrival. */
  readonly #leases = new Map<string, OpenedLease>();

  constructor(core: HostCore, exporting: ExportWork) {
    this.#core = core;
    this.#exporting = exporting;
  }

  async acquire(call: Call, machine: MachineRecord, ticketType: string): Promise<VirtualMachineTicket> {
    if (!isCenter(call.session?.userName ?? ''))
      throw fault('NotSupported', {}, 'A host sends machines to other hosts for its center only; ask that.');
    if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
    const form = parseFolderForm(ticketType);
    const { snapshot } = form;
    if (snapshot !== undefined && snapshot.machineId !== machine.id)
      throw fault('InvalidArgument', { invalidProperty: 'spec.snapshot' }, 'The snapshot is of another machine.');
    const subject: ExportSubject =
      snapshot === undefined ? { kind: 'machine', writable: false } : { kind: 'snapshot', uid: snapshot.uid };
    exportedView(machine, subject);
    this.#checkReaders(machine);
    const key = `${machine.id} ${form.arrival}`;
    // Who asks again for the same has lost what was given: nobody reads by it any more.
    const former = this.#leases.get(key);
    if (former !== undefined) {
      await former.abort(fault('RequestCanceled', {}, 'It is asked for anew.'));
      const { holder } = this.#core.claims.ask(claimOf.exporting(machine.id));
      if (holder !== undefined) await this.#core.tasks.finished(holder);
    }
    const lease = await this.#exporting.begin(call, machine, subject, {
      contents: async (record) => {
        const bundle = await (form.as === 'move'
          ? movedFolder(this.#core, record, form)
          : copiedFolder(this.#core, record, form));
        return [
          {
            deviceId: `/${record.configuration.name}`,
            key: `/${record.id}`,
            fileName,
            disk: false,
            provide: ({ signal }) => writeBundle(bundle, signal),
          },
        ];
      },
    });
    this.#leases.set(key, lease);
    void lease.ended.then(() => {
      if (this.#leases.get(key) === lease) this.#leases.delete(key);
    });
    await lease.ready;
    const { registry } = this.#core;
    if (registry.read(lease.ref, 'state') !== 'ready') {
      const error = registry.read(lease.ref, 'error');
      const { _typeName = 'InvalidState', ...detail } = { ...error?.fault };
      throw fault(
        _typeName as 'InvalidState',
        detail as object,
        error?.localizedMessage ?? 'The machine cannot be sent.',
      );
    }
    return {
      _typeName: 'VirtualMachineTicket',
      ticket: lease.ref.value,
      cfgFile: machine.datastore.format(machine.vmxPath),
      url: `https://*${lease.path}/${fileName}`,
    };
  }

  /** Those who read its disks, as copies and backups do, have it stay where it is. */
  #checkReaders(machine: MachineRecord): void {
    const merging = this.#core.claims.holder(claimOf.merging(machine.id));
    if (merging !== undefined)
      throw fault('TaskInProgress', { task: merging }, 'Disks of the machine are being merged; wait until that ended.');
  }
}
