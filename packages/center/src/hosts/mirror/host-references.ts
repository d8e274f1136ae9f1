import type { ManagedObjectReference } from '@hypostyle/vim';
import type { HostLayout } from './host-layout.ts';

/** References forgotten last: events of what is gone still name it. */
const goneLimit = 1_000;

/** A part of a host's entity that the center shows under a reference of its own: a browser, a snapshot, a manager. */
export interface HostPart {
  readonly type: string;
  /** Reference value at the center. */
  readonly value: string;
  readonly hostValue: string;
}

/** Whose references are whose, between the center and one host. */
export class HostReferences {
  readonly #toCenter = new Map<string, ManagedObjectReference>();
  readonly #toHost = new Map<string, ManagedObjectReference>();
  readonly #gone = new Map<string, ManagedObjectReference>();
  readonly #parts = new Map<string, HostPart>();
  /** What the host had at the last connection, until it is told whether it still does. */
  #before: ReadonlyMap<string, ManagedObjectReference> = new Map();

  /** With `before`, what those knew that is gone is found still. */
  constructor(before?: HostReferences) {
    if (before !== undefined) for (const [hostValue, center] of before.#gone) this.#gone.set(hostValue, center);
  }

  bind(host: ManagedObjectReference, center: ManagedObjectReference): void {
    this.#toCenter.set(host.value, center);
    this.#toHost.set(center.value, host);
    this.#gone.delete(host.value);
  }

  /** Lets go of a reference; what is told of it later still finds it for a while. */
  unbind(hostValue: string): ManagedObjectReference | undefined {
    const center = this.#toCenter.get(hostValue);
    if (center === undefined) return undefined;
    this.#toCenter.delete(hostValue);
    this.#parts.delete(hostValue);
    if (this.#toHost.get(center.value)?.value === hostValue) this.#toHost.delete(center.value);
    this.remember(hostValue, center);
    return center;
  }

  /** A reference of what is not there any more, for events that name it. */
  remember(hostValue: string, center: ManagedObjectReference): void {
    this.#gone.set(hostValue, center);
    for (const oldest of this.#gone.keys()) {
      if (this.#gone.size <= goneLimit) break;
      this.#gone.delete(oldest);
    }
  }

  /** What was there at the last connection by the host's references; empty once all was told. */
  expect(before: ReadonlyMap<string, ManagedObjectReference>): void {
    this.#before = before;
  }

  /** Binds what a host has once to what stands for it here. */
  bindLayout(layout: HostLayout, center: { readonly [P in BoundLayout]: ManagedObjectReference }): void {
    for (const part of boundLayout) this.bind(layout[part], center[part]);
    if (layout.environmentBrowser !== undefined) this.bind(layout.environmentBrowser, center.environmentBrowser);
  }

  addPart(part: HostPart): void {
    this.#parts.set(part.hostValue, part);
    const reference = { _typeName: 'ManagedObjectReference', type: part.type };
    this.bind({ ...reference, value: part.hostValue }, { ...reference, value: part.value });
  }

  part(hostValue: string): HostPart | undefined {
    return this.#parts.get(hostValue);
  }

  parts(): IterableIterator<HostPart> {
    return this.#parts.values();
  }

  /** The center's reference, of what is here or was until lately. */
  toCenter(host: ManagedObjectReference): ManagedObjectReference | undefined {
    const { value } = host;
    return this.#toCenter.get(value) ?? this.#before.get(value) ?? this.#gone.get(value);
  }

  isBound(hostValue: string): boolean {
    return this.#toCenter.has(hostValue);
  }

  toHost(center: ManagedObjectReference): ManagedObjectReference | undefined {
    return this.#toHost.get(center.value);
  }
}

const boundLayout = [
  'datacenter',
  'vmFolder',
  'hostFolder',
  'datastoreFolder',
  'networkFolder',
  'computeResource',
  'rootPool',
  'host',
] as const;
type BoundLayout = (typeof boundLayout)[number] | 'environmentBrowser';
