import type { Store } from '@hypostyle/contracts';
import type { AboutInfo, EventService, Permissions, Registry, Schema, TaskService } from '@hypostyle/vim';
import type { LastKnown } from './hosts/mirror/last-known.ts';
import type { Inventory } from './inventory/inventory.ts';
import type { ReferenceNumbers } from './references/reference-numbers.ts';
import type { ReferenceRewriter } from './references/reference-rewriter.ts';

/** What a center is made of below its hosts. */
export interface CenterBase {
  readonly schema: Schema;
  readonly registry: Registry;
  readonly store: Store;
  readonly about: AboutInfo;
  readonly authorizer: Permissions;
  readonly events: EventService;
  readonly tasks: TaskService;
  readonly inventory: Inventory;
  readonly numbers: ReferenceNumbers;
  readonly rewriter: ReferenceRewriter;
  readonly lastKnown: LastKnown;
  /** Told of what failed in the background, with where. */
  readonly onDefect: (where: string, error: unknown) => void;
  /** Told of what an operator would look for, and is no defect. */
  readonly onLog: (what: string, why: unknown) => void;
}
