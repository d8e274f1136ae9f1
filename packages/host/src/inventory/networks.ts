import type { ManagedObjectReference } from '@hypostyle/vim';

/** A network by the name that machines' configurations use. */
export interface HostNetwork {
  readonly name: string;
  readonly ref: ManagedObjectReference<'Network'>;
}

/** The host's networks. Until there are switches, each is user-mode address translation of every NIC by itself. */
export class Networks {
  readonly #byName: ReadonlyMap<string, HostNetwork>;

  constructor(names: readonly string[]) {
    this.#byName = new Map(
      names.map((name) => [
        name,
        { name, ref: { _typeName: 'ManagedObjectReference', type: 'Network', value: `HaNetwork-${name}` } },
      ]),
    );
  }

  all(): HostNetwork[] {
    return [...this.#byName.values()];
  }

  find(name: string): HostNetwork | undefined {
    return this.#byName.get(name);
  }

  byReference(value: string): HostNetwork | undefined {
    return this.all().find((network) => network.ref.value === value);
  }
}
