import type { Store } from '@hypostyle/contracts';
import { fault, type VimFault } from '@hypostyle/vim';

const collection = 'host';
const key = 'maintenance';

/** Whether machines may begin to run here: not in maintenance mode, nor from the moment that it is being entered. */
export class MaintenanceMode {
  readonly #store: Store;
  #state: 'off' | 'entering' | 'on';
  #underWay = 0;
  readonly #listeners = new Set<() => void>();

  private constructor(store: Store, on: boolean) {
    this.#store = store;
    this.#state = on ? 'on' : 'off';
  }

  static async open(store: Store): Promise<MaintenanceMode> {
    return new MaintenanceMode(store, (await store.get<boolean>(collection, key)) ?? false);
  }

  get state(): 'off' | 'entering' | 'on' {
    return this.#state;
  }

  /** Starts and provisioning that have not ended yet. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Throws InvalidState unless machines may be started and made. */
  check(): void {
    if (this.#state !== 'off') throw inMaintenance(this.#state);
  }

  /** Says that a start or provisioning begins; the answer says that it ended. InvalidState as `check`. */
  begin(): () => void {
    this.check();
    this.#underWay += 1;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#underWay -= 1;
      for (const listener of this.#listeners) listener();
    };
  }

  /** Told of every end of what was under way. */
  onEnded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** From now on nothing begins. InvalidState when it is entered already. */
  startEntering(): void {
    this.check();
    this.#state = 'entering';
  }

  giveUp(): void {
    if (this.#state === 'entering') this.#state = 'off';
  }

  /** Durable when it resolves; the state changes by `show`, in the commit that shows it. */
  async keep(on: boolean): Promise<void> {
    await this.#store.transact([{ put: { collection, key, value: on } }]);
  }

  show(on: boolean): void {
    this.#state = on ? 'on' : 'off';
  }
}

function inMaintenance(state: 'entering' | 'on'): VimFault {
  return fault(
    'InvalidState',
    {},
    state === 'on'
      ? 'The host is in maintenance mode; let it exit that first.'
      : 'The host is entering maintenance mode; cancel that task first.',
  );
}
