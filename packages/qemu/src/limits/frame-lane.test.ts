import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameLane } from './frame-lane.ts';

/** A lane with a clock of its own; `pass` lets time go by, waking it when it asked to be woken. */
function lane(bitsPerSecond: number) {
  let now = 0;
  const due: { readonly at: number; readonly run: () => void }[] = [];
  const sent: { readonly at: number; readonly frame: Buffer }[] = [];
  const shaped = new FrameLane({
    bitsPerSecond,
    send: (frame) => sent.push({ at: now, frame }),
    now: () => now,
    wake: (afterMs, run) => due.push({ at: now + afterMs, run }),
  });
  const pass = (milliseconds: number) => {
    const end = now + milliseconds;
    for (;;) {
      const next = due.findIndex(({ at }) => at <= end);
      const [one] = next < 0 ? [] : due.splice(next, 1);
      if (one === undefined) break;
      now = Math.max(now, one.at);
      one.run();
    }
    now = end;
  };
  return { shaped, sent, pass };
}

function frame(bytes: number, fill = 1): Buffer {
  const made = Buffer.alloc(4 + bytes, fill);
  made.writeUInt32BE(bytes, 0);
  return made;
}

test('frames go on at the rate, in their order, and those that would wait too long are dropped', () => {
  const { shaped, sent, pass } = lane(8_000_000);
  for (let number = 0; number < 200; number += 1) shaped.push(frame(996, number % 251));
  pass(1_000);
  // 8 Mbit/s are 1000 bytes a millisecond: 10 ms at once, and 100 ms of it wait at most.
  assert.ok(sent.length >= 100 && sent.length <= 115, `${sent.length} of 200`);
  const at = (index: number) => sent[index]?.at ?? 0;
  assert.equal(at(5), 0);
  assert.ok(at(99) >= 85 && at(99) <= 95, `the 100th at ${at(99)} ms`);
  assert.deepEqual(
    sent.map(({ frame: [, , , , fill] }) => fill),
    sent.map((_, index) => index),
  );
});

test('a rate that changes counts at once', () => {
  const { shaped, sent, pass } = lane(8_000);
  for (let number = 0; number < 10; number += 1) shaped.push(frame(1_000));
  pass(1_000);
  assert.ok(sent.length <= 3, `${sent.length} frames at 1000 bytes a second`);
  shaped.bitsPerSecond = 80_000_000;
  pass(10);
  assert.equal(sent.length, 10);
});

test('what is cut anywhere goes on whole, never faster than the rate, and rubbish is refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_600 }), { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 10_000, max: 100_000_000 }),
      (sizes, cuts, rate) => {
        const { shaped, sent, pass } = lane(rate);
        const stream = Buffer.concat(sizes.map((size, index) => frame(size, index % 251)));
        for (let at = 0, cut = 0; at < stream.length; cut += 1) {
          const length = cuts[cut % cuts.length] ?? 1;
          shaped.push(stream.subarray(at, at + length));
          at += length;
        }
        pass((stream.length * 8_000) / rate + 1_000);
        // All that there was room for came, as it was.
        if (stream.length <= 64 << 10) assert.deepEqual(Buffer.concat(sent.map((one) => one.frame)).compare(stream), 0);
        let bytes = 0;
        for (const { at, frame: one } of sent) {
          // The last may overdraw by its own length.
          assert.ok(bytes <= (rate / 8_000) * (at + 10) + 1, `${bytes} bytes after ${at} ms at ${rate}`);
          bytes += one.length - 4;
        }
      },
    ),
    { numRuns: 40 },
  );
  assert.throws(() => lane(1_000_000).shaped.push(Buffer.alloc(8, 255)), RangeError);
});
