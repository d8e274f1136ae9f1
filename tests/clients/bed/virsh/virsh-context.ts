import { type Bed, emptyMachine } from '../bed.ts';
import type { CommandCase, CommandResult } from '../command.ts';
import type { Face } from '../face.ts';

// What the cases of virsh share: the machine that they drive, and looks at it.
export interface VirshContext {
  readonly bed: Bed;
  readonly face: Face;
  /** Another command of virsh, such as one before that of the case. */
  readonly run: (words: readonly string[]) => Promise<CommandResult>;
}

export type VirshCase = CommandCase<VirshContext>;

export const machine = emptyMachine;
export const off = ({ bed }: VirshContext) => bed.power(machine, 'poweredOff');
export const on = ({ bed }: VirshContext) => bed.power(machine, 'poweredOn');
export const expect = (condition: unknown, what: string) => {
  if (!condition) throw new Error(what);
};
