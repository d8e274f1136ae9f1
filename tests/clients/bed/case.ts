import type { Bed } from './bed.ts';
import type { Face } from './face.ts';

export type Endpoint = 'host' | 'center';
export const endpoints = ['host', 'center'] as const;

/** What one case came to. */
export interface Outcome {
  readonly client: string;
  readonly endpoint: Endpoint;
  readonly case: string;
  readonly passed: boolean;
  readonly seconds: number;
  /** Of a failure: what was run, what was said, and what was expected. */
  readonly command?: string;
  readonly said?: string;
  readonly expected?: string;
}

/** A client of others, with its cases. */
export interface TestClient {
  readonly name: string;
  /** Endpoints that it is made for. */
  readonly endpoints: readonly Endpoint[];
  /** Where its quick cases are run; wherever it is made for unless told. */
  readonly quickAt?: readonly Endpoint[];
  /** Why it cannot be tried here, such as a package that is not installed. */
  readonly missing?: string;
  /** Runs its cases one after another, and tells the outcome of each as it ends. */
  run(options: ClientRun): Promise<void>;
}

export interface ClientRun {
  readonly bed: Bed;
  readonly face: Face;
  /** The quick cases alone. */
  readonly quick: boolean;
  /** Those alone whose name has this part; what they need of others is not done. */
  readonly part?: string | undefined;
  readonly tell: (outcome: Omit<Outcome, 'client' | 'endpoint'>) => void;
}

/** A case that ended otherwise than it should. */
export class Unexpected extends Error {
  readonly command: string;
  readonly said: string;
  readonly expected: string;

  constructor({ command, said, expected }: Record<'command' | 'said' | 'expected', string>) {
    super(`${command}\n  said: ${said}\n  expected: ${expected}`);
    this.name = 'Unexpected';
    this.command = command;
    this.said = said;
    this.expected = expected;
  }
}
