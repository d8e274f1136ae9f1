import { fileStem, formatDatastorePath } from '@hypostyle/services';
import {
  fault,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualMachineSummary,
  type VirtualMachineTicket,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { FarFiles, type FarPlace } from './far-files.ts';

/** A machine's folder that is to come to another host. */
export interface SentMachine {
  /** Reference value of the machine. */
  readonly machine: string;
  readonly from: string;
  readonly to: string;
  /** Name of the datastore on the other host. */
  readonly datastore: string;
  /** What the machine is called there. */
  readonly name: string;
  /** A word that nobody else knows, by which the center knows what came of the task. */
  readonly arrival: string;
  /** Name of its `.vmx` there. */
  readonly vmxName: string;
  /** What is asked of the host that has it, beside `arrival`: `as`, and what goes with that. */
  readonly asked: Readonly<Record<string, string>>;
}

/** The folder that was found for a machine, written down before the first byte is sent there. */
export interface SendingJournal {
  readonly folder?: string;
}

/** The machine at its host, as it was sent, left alone there until it is let go. */
export interface Held {
  readonly lease: ManagedObjectReference<'HttpNfcLease'>;
  readonly link: HostLink;
}

/** Times that a sending begins anew where a host was lost on the way. */
const mostAttempts = 5;
/** Milliseconds between words to the host that the machine is still being sent: its lease lasts for 300 s. */
const renewInterval = 60_000;

/** Brings the folders of machines from one host to another. */
export class MachineSending {
  readonly files: FarFiles;
  readonly #core: CenterCore;

  readonly #forwarding: Forwarding;

  constructor(core: CenterCore, forwarding: Forwarding) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.files = new FarFiles(core);
  }

  /**
   * Brings a folder, or finds that it was brought; while `work` goes on, the machine is left alone at its host. The
   * folder is written down by `journal` beforehand. What `work` is given to say where the `.vmx` is.
   */
  async bring<R>(
    task: RunningTask,
    sent: SentMachine,
    { folder, journal }: { readonly folder: string | undefined; readonly journal: (folder: string) => Promise<void> },
    work: (vmx: FarPlace, held: Held | undefined) => Promise<R>,
  ): Promise<R> {
    const { held, at } = await this.#brought(task, sent, folder, journal);
    const renewing = held && setInterval(() => void this.#renew(held), renewInterval).unref();
    try {
      return await work(this.vmxAt(sent, at), held);
    } finally {
      clearInterval(renewing);
      if (held !== undefined) await this.letGo(held);
    }
  }

  async #brought(
    task: RunningTask,
    sent: SentMachine,
    folder: string | undefined,
    journal: (folder: string) => Promise<void>,
  ): Promise<{ readonly at: string; readonly held?: Held | undefined }> {
    let at = folder;
    for (let attempt = 1; ; attempt += 1) {
      let held: (Held & { readonly url: string }) | undefined;
      try {
        for (const host of [sent.to, sent.from]) await this.#ready(host, task.signal);
        const arrived = at !== undefined && (await this.#hasArrived(sent, at, task.signal));
        // What was given to an earlier process ends with that.
        const holding = await this.#hold(task, sent).catch((error: unknown) => {
          if (arrived) return undefined;
          throw error;
        });
        held = holding;
        if (at !== undefined && arrived) return { at, ...(held === undefined ? {} : { held }) };
        if (holding === undefined) continue;
        const renewing = setInterval(() => void this.#renew(holding), renewInterval).unref();
        try {
          at = await this.#freeFolder(sent, at, task.signal);
          await journal(at);
          await this.#send(task, sent, at, holding);
        } finally {
          clearInterval(renewing);
        }
        return { at, held };
      } catch (error) {
        if (held !== undefined) await this.letGo(held);
        task.signal.throwIfAborted();
        const again =
          error instanceof VimFault && (error.type === 'HostNotConnected' || error.type === 'FileAlreadyExists');
        if (!again || attempt === mostAttempts || this.#core.hosts.closed) throw error;
      }
    }
  }

  /** Whether what lies in a folder came by this task. Throws HostNotConnected. */
  async #hasArrived(sent: SentMachine, folder: string, signal: AbortSignal): Promise<boolean> {
    const text = await this.files.read(this.vmxAt(sent, folder), signal);
    return text !== undefined && new RegExp(`^hypostyle\\.arrival *= *"${sent.arrival}"`, 'im').test(text);
  }

  /** Deletes what came to a folder by this task, where it lies there still. */
  async clear(task: RunningTask, link: HostLink, sent: SentMachine, folder: string): Promise<void> {
    const { fileManager } = link.layout.content;
    if (fileManager === undefined || !(await this.#hasArrived(sent, folder, new AbortController().signal))) return;
    const name = formatDatastorePath({ datastore: sent.datastore, path: folder });
    const options = { part: 'clear', again: true, steady: true };
    await this.#forwarding.step(task, link, fileManager, 'DeleteDatastoreFile_Task', { name }, options);
  }

  vmxAt({ to, datastore, vmxName }: SentMachine, folder: string): FarPlace {
    return { host: to, datastore, path: `${folder}/${vmxName}` };
  }

  /** Ends what an earlier process had of a machine at its host. */
  async release(task: RunningTask, sent: SentMachine): Promise<void> {
    const held = await this.#hold(task, sent).catch(() => undefined);
    if (held !== undefined) await this.letGo(held);
  }

  /** Ends the lease over a machine that was sent. */
  async letGo({ link, lease }: Held): Promise<void> {
    await link.call(lease, 'HttpNfcLeaseComplete', {}).catch(() => {});
  }

  async #ready(host: string, signal: AbortSignal): Promise<void> {
    const link = this.#core.hosts.link(host) ?? this.#core.hosts.connected(host);
    await this.#core.hosts.ready(link, signal);
  }

  async #hold(
    task: RunningTask,
    { machine, from, arrival, asked }: SentMachine,
  ): Promise<Held & { readonly url: string }> {
    const link = this.#core.hosts.connected(from);
    const self: ManagedObjectReference = { type: 'VirtualMachine', value: machine };
    const ref = link.mirror.references.toHost(self);
    if (ref === undefined)
      throw fault('ManagedObjectNotFound', { obj: self }, 'Its host no longer has the machine that is to be sent.');
    const ticketType = `folder?${new URLSearchParams({ ...asked, arrival })}`;
    const realUser = task.userName === '' ? {} : { realUser: task.userName };
    const ticket = (await link.call(ref, 'AcquireTicket', { ticketType }, realUser)) as VirtualMachineTicket;
    const lease = { _typeName: 'ManagedObjectReference', type: 'HttpNfcLease', value: ticket.ticket } as const;
    return { link, lease, url: (ticket.url ?? '').replace(/^https:\/\/\*(:\d+)?/, '') };
  }

  /** A lease that cannot be renewed ends, and what is sent by it with it. */
  async #renew({ link, lease }: Held): Promise<void> {
    await link.call(lease, 'HttpNfcLeaseProgress', { percent: 50 }).catch(() => {});
  }

  async #send(task: RunningTask, sent: SentMachine, folder: string, { url }: { readonly url: string }): Promise<void> {
    const ref: ManagedObjectReference = { type: 'VirtualMachine', value: sent.machine };
    const summary = this.#core.registry.get(ref)?.value('summary') as VirtualMachineSummary | undefined;
    const total = Math.max(1, Number(summary?.storage?.committed ?? 0));
    let done = 0;
    const place = { host: sent.to, datastore: sent.datastore, path: folder };
    await this.files.send({ host: sent.from, address: url }, place, {
      signal: task.signal,
      onBytes: (count) => {
        done += count;
        task.progress(Math.min(85, 5 + Math.floor((80 * done) / total)));
      },
    });
  }

  /** A folder that is not there yet: the one that was chosen before, unless somebody has it by now. */
  async #freeFolder(
    { to, datastore, name }: SentMachine,
    before: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const stem = fileStem(name);
    if (stem === '') throw fault('InvalidArgument', { invalidProperty: 'name' }, 'The name is no name of a folder.');
    if (before !== undefined && !(await this.files.exists({ host: to, datastore, path: before }, signal)))
      return before;
    for (let number = 0; ; number += 1) {
      const path = number === 0 ? stem : `${stem}_${number}`;
      if (!(await this.files.exists({ host: to, datastore, path }, signal))) return path;
    }
  }
}
