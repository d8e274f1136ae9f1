import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findPassword } from './password-file.ts';

const question = { host: 'db.example', port: 5432, database: 'center', user: 'alice' };

test('the first line that fits has the password', () => {
  const text = [
    '# db.example:5432:center:alice:comment',
    'other:5432:center:alice:other host',
    'db.example:5433:center:alice:other port',
    'short:line',
    'db.example:*:center:alice:first',
    '*:*:*:*:second',
  ].join('\r\n');
  assert.equal(findPassword(text, question), 'first');
  assert.equal(findPassword(text, { ...question, user: 'bob' }), 'second');
  assert.equal(findPassword('db.example:5432:center:bob:x', question), undefined);
  assert.equal(findPassword('localhost:*:*:*:socket', { ...question, host: '/run/postgresql' }), 'socket');
});

test('a backslash makes signs part of a field, in whatever text', () => {
  const text = fc.string({ minLength: 1 }).filter((each) => !/[\r\n]/.test(each));
  const written = (field: string): string => field.replace(/[\\:]/g, '\\$&');
  fc.assert(
    fc.property(text, text, text, (database, user, password) => {
      const line = `db.example:5432:${written(database)}:${written(user)}:${written(password)}`;
      assert.equal(findPassword(`\n${line}\n`, { ...question, database, user }), password);
    }),
  );
  fc.assert(fc.property(fc.string(), (any) => void findPassword(any, question)));
});
