import {
  type Draft,
  type ManagedObjectReference,
  nextTurn,
  type Session,
  turnEnd,
  type VirtualMachineConfigInfo,
} from '@hypostyle/vim';
import { type MachineDocument, referenceOf } from '../../inventory/entity-document.ts';
import type { InventoryEdit } from '../../inventory/inventory.ts';
import { type ConnectionState, hostOverlay, machineOverlay } from '../connection/connection-overlay.ts';
import type { ObjectChange } from '../following/object-updates.ts';
import { type HostLayout, mirrored } from './host-layout.ts';
import { type PartDocument, putPart } from './host-parts.ts';
import { HostReferences } from './host-references.ts';
import { MachineMeeting, StagedMachines } from './machine-meeting.ts';
import { type HostMirrorOptions, MirrorContext } from './mirror-context.ts';
import { MirrorRemoval } from './mirror-removal.ts';
import { SharedMeeting } from './shared-meeting.ts';
import { Transients } from './transients.ts';
import { type Properties, type Stage, UpdateStaging } from './update-staging.ts';

/** Machines that are shown in another state by one commit, which holds everybody else up. */
const machinesAtOnce = 100;

/** What else is told in the commits that show another state. */
export interface TellState {
  readonly host?: (draft: Draft) => void;
  readonly machine?: (draft: Draft, machine: MachineDocument) => void;
}

/** One host's entities as the center shows them. */
export class HostMirror {
  readonly #context: MirrorContext;
  readonly #machines: MachineMeeting;
  readonly #sharedThings: SharedMeeting;
  readonly #staging: UpdateStaging;
  readonly #removal: MirrorRemoval;
  readonly #transients: Transients;

  constructor(options: HostMirrorOptions) {
    this.#context = new MirrorContext(options);
    this.#machines = new MachineMeeting(this.#context);
    this.#sharedThings = new SharedMeeting(this.#context);
    this.#staging = new UpdateStaging(this.#context);
    this.#removal = new MirrorRemoval(this.#context);
    this.#transients = new Transients(this.#context, this.#staging);
  }

  get references(): HostReferences {
    return this.#context.references;
  }

  /** The state that clients see; undefined before any was shown. */
  get shown(): ConnectionState | undefined {
    return this.#context.shown;
  }

  /** Whether a host that is not shown as connected has told something since that was shown. */
  get wasTold(): boolean {
    return this.#context.state !== this.#context.shown;
  }

  parts(): PartDocument[] {
    return [...this.#context.parts.values()];
  }

  /** A connection was made: what follows tells everything anew, until `complete`. */
  begin(layout: HostLayout, place: Parameters<HostReferences['bindLayout']>[1]): void {
    this.#transients.end();
    this.#context.references = new HostReferences(this.#context.references);
    this.#context.references.expect(this.#machinesBefore());
    this.#context.references.bindLayout(layout, place);
    this.#context.told = new Set();
    this.#machines.begin();
    // What comes now is told by a host that is connected; `setState` says so once all is here.
    this.#context.state = 'connected';
    for (const part of this.#context.parts.values()) this.#context.references.addPart(part);
  }

  /** Takes changes over. Those that add, remove or rename are made durable first. */
  async enter(changes: readonly ObjectChange[]): Promise<void> {
    const structural = changes.some((change) => this.#isStructural(change));
    if (structural) await this.#context.core.inventory.edit((edit) => this.#edit(changes, edit));
    else {
      const stage = this.#staging.stage(changes, undefined);
      if (stage.newParts.length === 0) this.#context.core.registry.commit((draft) => this.#show(stage, draft));
      else await this.#context.core.inventory.edit((edit) => this.#finish(stage, edit));
    }
  }

  /** Shows an object of the connection's own, such as a lease, to whom it belongs, for as long as the host has it. */
  showTransient(ref: ManagedObjectReference, values: Properties, owner: Session | undefined): ManagedObjectReference {
    return this.#transients.show(ref, values, owner);
  }

  /** Takes over what is gone; after the events that tell of it. */
  async leave(changes: readonly ObjectChange[]): Promise<void> {
    const gone = changes.filter(({ kind, ref }) => kind === 'leave' && this.#context.references.isBound(ref.value));
    if (gone.length === 0) return;
    await this.#context.core.inventory.edit((edit) => {
      for (const { ref } of gone) this.#removal.remove(ref.value, edit);
    });
  }

  /** Everything was told: what was not is gone. */
  async complete(): Promise<void> {
    const told = this.#context.told;
    this.#context.told = undefined;
    if (told === undefined) return;
    this.#context.references.expect(new Map());
    const { inventory } = this.#context.core;
    const { host, shared } = this.#context;
    await inventory.edit((edit) => {
      for (const machine of inventory.machinesOnHost(host)) {
        if (machine.hostValue === undefined || told.has(machine.hostValue)) continue;
        this.#removal.machine(machine, edit);
        this.#context.references.remember(machine.hostValue, referenceOf(machine));
      }
      for (const value of shared.ofHost(host)) {
        const ref = this.#context.references.toHost({ type: '', value });
        if (ref === undefined || !told.has(ref.value)) this.#removal.unshare(value, edit);
      }
      for (const part of this.#context.parts.values())
        if (!told.has(part.hostValue)) this.#removal.removePart(part, edit);
    });
  }

  /**
   * Shows the state of the connection on the host and its machines, those of a large host one part after another;
   * `tell` runs in the same commits. One state is shown at a time.
   */
  async setState(state: ConnectionState, tell: TellState = {}): Promise<void> {
    this.#context.state = state;
    this.#context.shown = state;
    const { inventory, registry } = this.#context.core;
    const { host, shared } = this.#context;
    const machines = inventory.machinesOnHost(host);
    registry.commit((draft) => {
      const document = inventory.find(host);
      if (document?.type !== 'HostSystem') return;
      const ref = referenceOf(document);
      draft.set(
        ref,
        hostOverlay({ runtime: draft.get(ref, 'runtime'), summary: draft.get(ref, 'summary') }, document, state),
      );
      if (document.parent !== undefined) inventory.touchLists(draft, document.parent);
      for (const value of shared.ofHost(host)) {
        const entity = inventory.find(value);
        if (entity !== undefined) draft.set(referenceOf(entity) as never, shared.merged(value) as never);
      }
      this.#context.keep(ref);
      tell.host?.(draft);
      this.#setMachines(machines.slice(0, machinesAtOnce), state, draft, tell);
    });
    for (let at = machinesAtOnce; at < machines.length; at += machinesAtOnce) {
      if (performance.now() >= turnEnd()) await nextTurn();
      registry.commit((draft) => this.#setMachines(machines.slice(at, at + machinesAtOnce), state, draft, tell));
    }
  }

  #setMachines(machines: readonly MachineDocument[], state: ConnectionState, draft: Draft, tell: TellState): void {
    for (const machine of machines) {
      const ref = referenceOf(machine);
      const now = this.#context.core.inventory.find(machine.value);
      // It may have gone meanwhile, or to another host.
      if (!draft.has(ref) || now?.type !== 'VirtualMachine' || now.host !== this.#context.host) continue;
      draft.set(ref, machineOverlay({ runtime: draft.get(ref, 'runtime'), summary: draft.get(ref, 'summary') }, state));
      tell.machine?.(draft, machine);
    }
  }

  #machinesBefore(): Map<string, ManagedObjectReference> {
    const before = new Map<string, ManagedObjectReference>();
    for (const machine of this.#context.core.inventory.machinesOnHost(this.#context.host))
      if (machine.hostValue !== undefined) before.set(machine.hostValue, referenceOf(machine));
    return before;
  }

  #isStructural({ kind, ref, values }: ObjectChange): boolean {
    if (!(ref.type in mirrored)) return false;
    if (kind === 'enter' || 'name' in values) return true;
    if (ref.type !== 'VirtualMachine' || !('config' in values)) return false;
    const center = this.#context.references.toCenter(ref);
    const document = center && this.#context.core.inventory.find(center.value);
    const instanceUuid = (values.config as VirtualMachineConfigInfo | undefined)?.instanceUuid;
    return document?.type === 'VirtualMachine' && instanceUuid !== undefined && document.instanceUuid !== instanceUuid;
  }

  #edit(changes: readonly ObjectChange[], edit: InventoryEdit): void {
    const staged = new StagedMachines(this.#context.core.inventory.machinesOnHost(this.#context.host));
    // All are bound before the first is rewritten: they name one another.
    // What leaves is nobody to meet: it would be taken for a newcomer.
    const met = changes.filter(({ kind }) => kind !== 'leave');
    for (const change of met)
      if (change.ref.type === 'Datastore' || change.ref.type === 'Network') this.#sharedThings.meet(change, edit);
    for (const change of met) if (change.ref.type === 'VirtualMachine') this.#machines.meet(change, staged, edit);
    const stage = this.#staging.stage(changes, edit);
    for (const { document, values } of stage.properties.values()) edit.put(document, values);
    stage.properties.clear();
    this.#finish(stage, edit);
  }

  #finish(stage: Stage, edit: InventoryEdit): void {
    for (const part of stage.newParts) edit.write(putPart(part));
    edit.show((draft) => this.#show(stage, draft));
  }

  #show(stage: Stage, draft: Draft): void {
    for (const { document, values } of stage.properties.values()) {
      if (draft.has(referenceOf(document))) draft.set(referenceOf(document) as never, values as never);
    }
    for (const value of stage.touched) this.#context.core.inventory.touchLists(draft, value);
    for (const { ref, values } of stage.parts) {
      if (draft.has(ref)) draft.set(ref as never, values as never);
      else draft.add(this.#context.options.partClass(ref.type), ref.value, values as never);
      if (!this.#context.transients.has(ref.value)) this.#context.keep(ref);
    }
  }
}
