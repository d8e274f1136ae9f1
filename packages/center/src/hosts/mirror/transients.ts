import type { ManagedObjectReference, Session } from '@hypostyle/vim';
import { partPrefix } from './host-parts.ts';
import type { MirrorContext } from './mirror-context.ts';
import type { Properties, UpdateStaging } from './update-staging.ts';

/** Objects of a connection's own that clients see, such as leases. */
export class Transients {
  readonly #context: MirrorContext;
  readonly #staging: UpdateStaging;

  constructor(context: MirrorContext, staging: UpdateStaging) {
    this.#context = context;
    this.#staging = staging;
  }

  /** Shows an object of the connection's own, such as a lease, to whom it belongs, for as long as the host has it. */
  show(ref: ManagedObjectReference, values: Properties, owner: Session | undefined): ManagedObjectReference {
    const known = this.#context.references.toCenter(ref);
    if (known !== undefined) return known;
    const center = { ...ref, value: this.#context.core.numbers.mint(`${partPrefix(ref.type)}-`) };
    this.#context.references.bind(ref, center);
    this.#context.transients.add(center.value);
    this.#context.core.registry.commit((draft) => {
      const map = (other: ManagedObjectReference) => this.#context.references.toCenter(other);
      const shown = this.#staging.rewritten(ref.type, values, map) as never;
      draft.add(this.#context.options.partClass(ref.type), center.value, shown, owner === undefined ? {} : { owner });
    });
    return center;
  }

  /** The connection that they belonged to is gone. */
  end(): void {
    this.#context.core.registry.commit((draft) => {
      for (const value of this.#context.transients) {
        const object = this.#context.core.registry.byValue(value);
        if (object !== undefined) draft.remove(object.ref);
      }
    });
    this.#context.transients.clear();
  }
}
