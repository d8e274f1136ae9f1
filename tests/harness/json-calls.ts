import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { loadSchema, type ManagedObjectReference, type TaskInfo } from '@hypostyle/vim';
import { exchange } from '../../packages/vim/src/codec/testing/exchange.ts';
import type { Faces } from './center-in-process.ts';

const schema = loadSchema();

/** Calls over VI/JSON in one session. */
export class JsonCalls {
  readonly #faces: Faces;
  readonly #token: string;

  constructor(faces: Faces, token: string) {
    this.#faces = faces;
    this.#token = token;
  }

  /** Name of the fault, undefined for a result; and what was answered. */
  async try(self: ManagedObjectReference, method: string, args: object = {}) {
    const url = `/sdk/vim25/${schema.release}/${self.type}/${self.value}/${method}`;
    const headers = { 'vmware-api-session-id': this.#token };
    const { body, status } = await exchange(this.#faces.management, { url, headers, body: JSON.stringify(args) });
    const answer: unknown = body === '' ? undefined : JSON.parse(body);
    return { fault: status < 300 ? undefined : (answer as { _typeName: string })._typeName, answer };
  }

  async call(self: ManagedObjectReference, method: string, args: object = {}): Promise<unknown> {
    const { fault, answer } = await this.try(self, method, args);
    assert.equal(fault, undefined, `${self.type}.${method}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** The result of a task, once it has ended well. */
  async task(self: ManagedObjectReference, method: string, args: object = {}): Promise<unknown> {
    const task = (await this.call(self, method, args)) as ManagedObjectReference<'Task'>;
    for (;;) {
      const { state, result, error } = this.#faces.endpoint.registry.read(task, 'info') as TaskInfo;
      assert.notEqual(state, 'error', `${method}: ${error?.localizedMessage}`);
      if (state === 'success') return result;
      await setTimeout(5);
    }
  }

  /** A property's value; undefined with the fault where it may not be read. */
  async read(self: ManagedObjectReference, property: string): Promise<{ fault?: string; value?: unknown }> {
    const url = `/sdk/vim25/${schema.release}/${self.type}/${self.value}/${property}`;
    const headers = { 'vmware-api-session-id': this.#token };
    const { body, status } = await exchange(this.#faces.management, { method: 'GET', url, headers });
    const answer: unknown = body === '' ? undefined : JSON.parse(body);
    return status < 300 ? { value: answer } : { fault: (answer as { _typeName: string })._typeName };
  }
}
