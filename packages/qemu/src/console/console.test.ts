import assert from 'node:assert/strict';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import fc from 'fast-check';
import { captureScreen, parsePixmap } from './capture-screen.ts';
import { keyCode } from './key-codes.ts';
import { pressKeys } from './press-keys.ts';

it('names keys as the engine does', () => {
  const named = [0x04, 0x1d, 0x1e, 0x27, 0x28, 0x2c, 0x32, 0x34, 0x38, 0x3a, 0x45, 0x4c, 0x52, 0x53, 0x63, 0x73, 0xe7];
  assert.deepEqual(named.map(keyCode), [
    ...['a', 'z', '1', '0', 'ret', 'spc', 'backslash', 'apostrophe', 'slash', 'f1', 'f12', 'delete', 'up', 'num_lock'],
    ...['kp_decimal', 'f24', 'meta_r'],
  ]);
  assert.equal(keyCode(0), undefined);
});

it('holds modifiers around a key, leaves out keys that there are not, and lets go when the engine fails', async () => {
  const said: string[] = [];
  const execute = async (_command: string, args?: object) => {
    const { events } = args as { events: { data: { down: boolean; key: { data: string } } }[] };
    said.push(events.map(({ data }) => `${data.down ? '+' : '-'}${data.key.data}`).join(' '));
  };
  await pressKeys({ execute }, [
    { usage: 0x1e, modifiers: [0xe1] },
    { usage: 0xffff, modifiers: [] },
    { usage: 0x4c, modifiers: [0xe0, 0xe2] },
  ]);
  assert.deepEqual(said, ['+shift +1', '-1 -shift', '+ctrl +alt +delete', '-delete -alt -ctrl']);
  said.length = 0;
  const failing = async (command: string, args?: object) => {
    await execute(command, args);
    if (said.length === 1) throw new Error('lost');
  };
  await assert.rejects(pressKeys({ execute: failing }, [{ usage: 0x04, modifiers: [] }]), /lost/);
  assert.deepEqual(said, ['+a', '-a']);
});

it('reads a picture that the engine wrote, and leaves no file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'screen-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'screen');
  const writing = (text: string) => ({
    execute: async (_command: string, args?: object) =>
      writeFile((args as { filename: string }).filename, text, 'latin1'),
  });
  const { width, height, pixels } = await captureScreen(writing('P6\n2 1\n255\nabcdef'), path);
  assert.deepEqual([width, height, Buffer.from(pixels).toString()], [2, 1, 'abcdef']);
  for (const wrong of ['', 'P6\n2 1\n255\nabcde', 'P5\n2 1\n255\nabcdef', 'P6\n0 0\n255\n', 'P6\n99999 99999\n255\n']) {
    await assert.rejects(captureScreen(writing(wrong), path), (error) => {
      return error instanceof HypervisorError && error.code === 'screen-failed';
    });
  }
  await assert.rejects(access(path));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, header) => {
      try {
        parsePixmap(Buffer.concat([Buffer.from(header ? 'P6\n2 2\n255\n' : 'P6 '), bytes]));
      } catch (error) {
        assert.match((error as Error).message, /picture/);
      }
    }),
  );
});
