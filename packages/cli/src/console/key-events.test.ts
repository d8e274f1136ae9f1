import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CliError } from '../errors.ts';
import { keyEvents, namedKey } from './key-events.ts';

it('types what an American keyboard types', () => {
  const typed = (text: string) =>
    keyEvents(text).map(({ usage, shifted }) => `${shifted ? '^' : ''}${usage.toString(16)}`);
  assert.deepEqual(typed('aZ10!\n \t'), ['4', '^1d', '1e', '27', '^1e', '28', '2c', '2b']);
  assert.deepEqual(typed('-_=[]\\|;:\'"`~,<.>/?'), [
    ...['2d', '^2d', '2e', '2f', '30', '31', '^31', '33', '^33', '34', '^34', '35', '^35', '36', '^36'],
    ...['37', '^37', '38', '^38'],
  ]);
  assert.throws(() => keyEvents('ü'), CliError);
});

it('knows keys by name and by number', () => {
  const usages = ['KEY_ENTER', 'f2', 'F12', '0x4c', '28', 'Up', 'KEY_A', '0'].map((text) => namedKey(text).usage);
  assert.deepEqual(usages, [0x28, 0x3b, 0x45, 0x4c, 0x28, 0x52, 0x04, 0x27]);
  for (const wrong of ['', 'KEY_', '0x00', 'nothing']) assert.throws(() => namedKey(wrong), CliError);
});
