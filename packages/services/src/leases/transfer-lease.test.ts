import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { ByteFeed } from '../testing/byte-feed.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { TransferLease } from './transfer-lease.ts';
import type { TransferTarget } from './transfer-target.ts';

const never = new AbortController().signal;
const type = (name: string) => (error: unknown) => error instanceof VimFault && error.type === name;

function upload(index: number, received: Map<number, number> = new Map()): TransferTarget {
  return {
    deviceId: `/vm/disk${index}`,
    key: `/vm-1/disk${index}`,
    fileName: `disk-${index}.vmdk`,
    disk: true,
    capacityBytes: 1024,
    async receive(body) {
      for await (const piece of body) received.set(index, (received.get(index) ?? 0) + piece.byteLength);
    },
  };
}

function openLease(targets: readonly TransferTarget[], onComplete: () => Promise<void> = async () => {}) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const defects: unknown[] = [];
  const lease = new TransferLease({
    clock,
    timeoutSeconds: 300,
    owner: {
      onProgress: (percent) => calls.push(`progress ${percent}`),
      onComplete: async () => {
        calls.push('complete');
        await onComplete();
      },
      onAbort: async (fault) => {
        calls.push(`abort ${fault.type}`);
      },
    },
    onChange: () => {},
    onDefect: (error) => defects.push(error),
  });
  lease.start(targets);
  return { clock, calls, lease, defects };
}

async function* bytes(...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield new Uint8Array(size);
}

test('completes when everything is in, once', async () => {
  const { lease, calls, clock } = openLease([upload(0), upload(1)]);
  await lease.receive('disk-0.vmdk', bytes(5), { signal: never });
  await lease.receive('disk-1.vmdk', bytes(), { signal: never });
  await Promise.all([lease.complete(), lease.complete()]);
  await lease.complete();
  assert.equal(lease.state, 'done');
  assert.deepEqual(calls, ['complete']);
  assert.equal(clock.timers, 0);
  await assert.rejects(lease.abort(), type('InvalidState'));
  assert.equal(lease.state, 'done');
  lease.progress(50);
});

test('completing too early is an error, with cleaning up', async () => {
  const { lease, calls } = openLease([upload(0)]);
  await assert.rejects(lease.complete(), type('InvalidState'));
  assert.equal(lease.state, 'error');
  assert.match(lease.error?.message ?? '', /disk-0\.vmdk/);
  assert.deepEqual(calls, ['abort InvalidState']);
  await assert.rejects(lease.complete(), type('InvalidState'));
  await lease.abort();
  assert.deepEqual(calls, ['abort InvalidState']);
});

test('complete waits for an upload under way, and abort cuts that short', async () => {
  const first = openLease([upload(0)]);
  const feed = new ByteFeed();
  const sent = first.lease.receive('disk-0.vmdk', feed, { signal: never });
  const done = first.lease.complete();
  await turn();
  assert.equal(first.lease.state, 'ready');
  feed.end();
  await Promise.all([sent, done]);
  assert.equal(first.lease.state, 'done');

  const second = openLease([upload(0)]);
  const cut = assert.rejects(
    second.lease.receive('disk-0.vmdk', new ByteFeed(), { signal: never }),
    type('RequestCanceled'),
  );
  const failed = assert.rejects(second.lease.complete(), type('RequestCanceled'));
  await turn();
  await second.lease.abort();
  await Promise.all([cut, failed]);
  assert.deepEqual(second.calls, ['abort RequestCanceled']);
});

test('one upload at a time, none after a good one, again after a failed one', async () => {
  const { lease } = openLease([upload(0)]);
  const feed = new ByteFeed();
  const running = lease.receive('disk-0.vmdk', feed, { signal: never });
  await assert.rejects(lease.receive('disk-0.vmdk', bytes(1), { signal: never }), type('FileLocked'));
  feed.fail(new Error('connection lost'));
  await assert.rejects(running, /connection lost/);
  await lease.receive('disk-0.vmdk', bytes(1), { signal: never });
  await assert.rejects(lease.receive('disk-0.vmdk', bytes(1), { signal: never }), type('FileAlreadyExists'));
  await assert.rejects(lease.receive('none', bytes(1), { signal: never }), type('FileNotFound'));
});

test('times out when nothing comes; bytes and progress renew, a silent upload does not', async () => {
  const { lease, clock, calls } = openLease([upload(0)]);
  clock.advance(299_000);
  lease.progress(10);
  clock.advance(299_000);
  const feed = new ByteFeed();
  const sent = assert.rejects(lease.receive('disk-0.vmdk', feed, { signal: never }), type('Timedout'));
  for (let round = 0; round < 3; round += 1) {
    clock.advance(299_000);
    feed.push(new Uint8Array(1));
    await turn();
    assert.equal(lease.signal.aborted, false);
  }
  clock.advance(300_000);
  await sent;
  await lease.ended;
  assert.equal(lease.state, 'error');
  assert.deepEqual(calls, ['progress 10', 'abort Timedout']);
  assert.throws(() => lease.progress(20), type('Timedout'));
});

test('a failed completion is cleaned up and says why', async () => {
  const { lease, calls } = openLease([], async () => {
    throw new Error('no registration');
  });
  await assert.rejects(lease.complete(), type('SystemError'));
  assert.deepEqual(calls, ['complete', 'abort SystemError']);
  assert.equal(lease.state, 'error');
});

test('abort while initializing waits for the preparation', async () => {
  const calls: string[] = [];
  const prepared = Promise.withResolvers<void>();
  const lease = new TransferLease({
    clock: new FakeClock(),
    timeoutSeconds: 300,
    owner: { onComplete: async () => {}, onAbort: async () => void calls.push('abort') },
    onChange: () => {},
    onDefect: () => {},
  });
  const work = lease.waitFor(prepared.promise).then(() => lease.start([upload(0)]));
  await assert.rejects(lease.complete(), type('InvalidState'));
  const aborted = lease.abort();
  await turn();
  assert.deepEqual(calls, []);
  prepared.resolve();
  await Promise.all([aborted, work]);
  assert.deepEqual(calls, ['abort']);
  assert.equal(lease.state, 'error');
});

test('downloads make the manifest', async () => {
  const target: TransferTarget = {
    deviceId: 'd',
    key: '/vm-1/d',
    fileName: 'disk-0.vmdk',
    disk: true,
    capacityBytes: 4096,
    provide: () => bytes(3, 4),
  };
  const { lease } = openLease([target]);
  lease.setChecksumType('/vm-1/d', 'sha256');
  let size = 0;
  for await (const piece of lease.provide('disk-0.vmdk', never)) size += piece.byteLength;
  const [entry] = lease.manifest();
  assert.equal(size, 7);
  assert.equal(entry?.size, 7);
  assert.equal(entry?.sha1, '77ce0377defbd11b77b1f4ad54ca40ea5ef28490');
  assert.equal(entry?.checksum, '837885c8f8091aeaeb9ec3c3f85a6ff470a415e610b8ba3e49f9b33c9cf9d619');
  await lease.complete();
  assert.equal(lease.state, 'done');
});

type Step =
  | { readonly kind: 'begin'; readonly target: number }
  | { readonly kind: 'bytes' | 'finish' | 'drop'; readonly target: number }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'progress' }
  | { readonly kind: 'complete' }
  | { readonly kind: 'abort' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('begin', 'bytes', 'finish', 'drop'), target: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass'), seconds: fc.constantFrom(100, 200, 299, 300) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('progress', 'complete', 'abort') }) },
) as fc.Arbitrary<Step>;

test('any order of calls ends as the model says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 25 }), async (sequence) => {
      const { lease, clock, calls, defects } = openLease([upload(0), upload(1)]);
      const feeds: (ByteFeed | undefined)[] = [undefined, undefined];
      const model = { state: 'ready' as string, finished: [false, false], completing: false, silent: 0 };
      const running: Promise<unknown>[] = [];
      const settle = async () => {
        for (let round = 0; round < 4; round += 1) await turn();
      };
      const concludeModel = () => {
        if (model.state !== 'ready' || !model.completing || feeds.some((feed) => feed !== undefined)) return;
        model.state = model.finished.every(Boolean) ? 'done' : 'error';
      };
      const failModel = () => {
        if (model.state !== 'ready') return;
        model.state = 'error';
        feeds.fill(undefined);
      };
      for (const step of sequence) {
        const open = model.state === 'ready';
        if (step.kind === 'pass') {
          clock.advance(step.seconds * 1000);
          model.silent += step.seconds;
          if (model.silent >= 300) failModel();
        } else if (step.kind === 'progress') {
          if (model.state === 'error') assert.throws(() => lease.progress(1));
          else lease.progress(1);
          if (open && !model.completing) model.silent = 0;
        } else if (step.kind === 'complete') {
          running.push(lease.complete().catch(() => {}));
          model.completing = true;
          concludeModel();
        } else if (step.kind === 'abort') {
          running.push(lease.abort().catch(() => {}));
          failModel();
        } else if (step.kind === 'begin') {
          const feed = new ByteFeed();
          const sent = lease.receive(`disk-${step.target}.vmdk`, feed, { signal: never });
          const taken = open && !model.completing && feeds[step.target] === undefined && !model.finished[step.target];
          if (taken) {
            feeds[step.target] = feed;
            model.silent = 0;
            running.push(sent.catch(() => {}));
          } else {
            await assert.rejects(sent);
          }
        } else {
          const feed = feeds[step.target];
          if (feed === undefined) continue;
          model.silent = 0;
          if (step.kind === 'bytes') {
            feed.push(new Uint8Array(1));
          } else {
            feeds[step.target] = undefined;
            if (step.kind === 'finish') {
              feed.end();
              model.finished[step.target] = true;
            } else {
              feed.fail(new Error('lost'));
            }
            concludeModel();
          }
        }
        await settle();
        assert.equal(lease.state, model.state, `after ${step.kind}`);
      }
      if (lease.state === 'ready') {
        clock.advance(300_000);
        await lease.ended;
        assert.equal(lease.state, 'error');
      }
      await Promise.all(running);
      const ends = calls.filter((call) => !call.startsWith('progress'));
      assert.deepEqual(
        ends.map((call) => call.split(' ')[0]),
        [lease.state === 'done' ? 'complete' : 'abort'],
      );
      assert.equal(clock.timers, 0);
      assert.deepEqual(defects, []);
    }),
    { numRuns: 150 },
  );
});
