import { randomUUID } from 'node:crypto';
import type { HostCredentials } from '../hosts/connection/host-connection.ts';

/** Passwords of tasks that have not begun: in memory alone, as what a task is given is written down. */
export class KeptPasswords {
  readonly #kept = new Map<string, HostCredentials>();

  keep(credentials: HostCredentials): string {
    const token = randomUUID();
    this.#kept.set(token, credentials);
    return token;
  }

  /** Undefined when the process was another one. */
  take(token: string): HostCredentials | undefined {
    const credentials = this.#kept.get(token);
    this.#kept.delete(token);
    return credentials;
  }
}
