/** A moment of a disk that changes are asked since: the beginning of a generation of changed blocks. */
export interface ChangeId {
  /** UUID. */
  readonly epoch: string;
  /** 1 or more. */
  readonly generation: number;
}

/** Asks for what is stored, whenever it was written. */
export const everything = '*';

const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/([1-9]\d{0,14})$/;

/** As clients keep it: `52de1b3c-…/7`. */
export function formatChangeId({ epoch, generation }: ChangeId): string {
  return `${epoch}/${generation}`;
}

/** Undefined for what is none of ours. */
export function parseChangeId(text: string): ChangeId | undefined {
  const [, epoch, generation] = form.exec(text) ?? [];
  return epoch === undefined ? undefined : { epoch, generation: Number(generation) };
}

/** What the engine calls a generation. */
export function generationName(generation: number): string {
  return `g${generation}`;
}

/** Number of a generation by its name; Infinity for a name that is none of ours. */
export function numberOf(name: string): number {
  return Number(/^g([1-9]\d{0,14})$/.exec(name)?.[1] ?? Number.POSITIVE_INFINITY);
}
