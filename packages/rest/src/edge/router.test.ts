import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { operation } from '../operations/operation.ts';
import { plainName } from './query.ts';
import { Router } from './router.ts';

const at = (id: string, path: string, more: object = {}) =>
  operation({ id, summary: '', method: 'GET', path, rest: {}, run: () => {}, ...more });

const router = new Router([
  at('list', '/vm'),
  at('one', '/vm/{vm}'),
  at('start', '/vm/{vm}/power', { method: 'POST', action: 'start' }),
  at('prefixed', '/tag/{tag}', { rest: { path: '/tag/id:{tag}' } }),
]);
const find = (method: string, path: string, action?: string) => router.find(method, path, action)?.route.operation.id;

test('a path leads to its operation by method and action', () => {
  assert.equal(find('GET', '/api/vm'), 'list');
  assert.equal(find('GET', '/api/vm/'), 'list');
  assert.equal(find('GET', '/api/vm/x'), 'one');
  assert.equal(find('POST', '/api/vm/x'), undefined);
  assert.equal(find('POST', '/api/vm/x/power', 'start'), 'start');
  assert.equal(find('POST', '/api/vm/x/power/start'), undefined);
  assert.equal(find('POST', '/rest/vm/x/power/start'), 'start');
  assert.equal(find('POST', '/rest/vm/x/power', 'start'), 'start');
  assert.equal(find('GET', '/rest/tag/x'), undefined);
  assert.equal(router.find('GET', '/rest/tag/id:x', undefined)?.path.tag, 'x');
});

test('any identifier comes through whole, and any path is found or not', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 40 }), (id) => {
      assert.equal(router.find('GET', `/api/vm/${encodeURIComponent(id)}`, undefined)?.path.vm, id);
    }),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.string(), fc.string(), (path, method, action) => {
      router.find(method, `/api/${path}`, action);
    }),
  );
});

test('old names of parameters are the new ones', () => {
  for (const name of ['names', 'filter.names', 'filter.names.1', 'names.12']) assert.equal(plainName(name), 'names');
});
