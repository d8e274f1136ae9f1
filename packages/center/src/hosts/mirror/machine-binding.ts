import type { MachineDocument } from '../../inventory/entity-document.ts';

/** A machine as its host tells of it. */
export interface ToldMachine {
  readonly host: string;
  /** Undefined when the host cannot read its configuration. */
  readonly instanceUuid: string | undefined;
}

export interface KnownMachines {
  /** The document of this host's machine of that reference. */
  readonly ofValue: MachineDocument | undefined;
  /** Documents of that instanceUuid, on whatever host. */
  readonly ofInstance: readonly MachineDocument[];
  /** True when another machine of this host holds the document at this moment. */
  readonly isHeld: (document: MachineDocument) => boolean;
  /** True when the document's own host still has its machine, as far as anybody knows. */
  readonly isElsewhere: (document: MachineDocument) => boolean;
}

export type Binding =
  /** It is that machine: under its reference. */
  | { readonly kind: 'known'; readonly document: MachineDocument }
  | { readonly kind: 'new' }
  /** Another machine has its instanceUuid: it is new, and must get another one. */
  | { readonly kind: 'duplicate'; readonly of: MachineDocument };

/**
 * Which machine of the center a machine of a host is. The instanceUuid says so, wherever it is met; the host's own
 * reference only where there is no instanceUuid, or where it was given anew on the same machine.
 */
export function bindMachine(told: ToldMachine, known: KnownMachines): Binding {
  const { instanceUuid, host } = told;
  const same = known.ofValue !== undefined && !known.isHeld(known.ofValue) ? known.ofValue : undefined;
  if (instanceUuid === undefined) return same === undefined ? { kind: 'new' } : { kind: 'known', document: same };
  if (same !== undefined && same.instanceUuid === instanceUuid) return { kind: 'known', document: same };
  const here = known.ofInstance.find((document) => document.host === host && !known.isHeld(document));
  if (here !== undefined) return { kind: 'known', document: here };
  const free = known.ofInstance.find((document) => document.host !== host && !known.isElsewhere(document));
  if (free !== undefined) return { kind: 'known', document: free };
  const other = known.ofInstance[0];
  if (same !== undefined && other === undefined) return { kind: 'known', document: same };
  return other === undefined ? { kind: 'new' } : { kind: 'duplicate', of: other };
}
