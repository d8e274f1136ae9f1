import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { OvfError } from '../errors.ts';
import { sealedBytes } from '../testing/encryption.ts';
import { collect, pieces } from '../testing/packages.ts';
import { contentCiphers } from './algorithms.ts';
import { decrypted, encrypted } from './cipher-stream.ts';

const keyOf = (bytes: number) => createHash('sha512').update('key').digest().subarray(0, bytes);
const refused = (error: unknown) =>
  error instanceof OvfError && ['passphrase-wrong', 'archive-invalid'].includes(error.code);

for (const cipher of contentCiphers) {
  const key = { cipher, key: keyOf(cipher.keyBytes), proven: false };

  test(`${cipher.name}: what is encrypted is decrypted again, in pieces of any length`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 70 }),
        async (plain, one, other) => {
          const sealed = await collect(encrypted(pieces(plain, one), key));
          assert.equal(sealed.length, sealedBytes(plain, key.key, cipher.mode).length);
          assert.deepEqual(await collect(decrypted(pieces(sealed, other), key, 'f')), Buffer.from(plain));
          // Made by somebody else, with other padding.
          const foreign = sealedBytes(plain, key.key, cipher.mode);
          assert.deepEqual(await collect(decrypted(pieces(foreign, other), key, 'f')), Buffer.from(plain));
        },
      ),
      { numRuns: 40 },
    );
  });

  test(`${cipher.name}: damage never passes for content of GCM, and ends as a refusal or other bytes of CBC`, async () => {
    const plain = randomBytes(300);
    const sealed = await collect(encrypted(pieces(plain, 50), key));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(sealed.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(sealed.length),
        async (at, bits, length) => {
          const changed = Buffer.from(sealed);
          changed[at]! ^= bits;
          for (const bytes of [changed, sealed.subarray(0, Math.min(length, sealed.length - 1))]) {
            const got = await collect(decrypted(pieces(bytes, 64), key, 'f')).catch((error: unknown) => error);
            if (Buffer.isBuffer(got)) assert.ok(cipher.mode === 'cbc' && !got.equals(plain));
            else assert.ok(refused(got), String(got));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test(`${cipher.name}: any bytes are content or refused`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const got = await collect(decrypted(pieces(bytes, 33), key, 'f')).catch((error: unknown) => error);
        if (Buffer.isBuffer(got)) assert.ok(got.length < bytes.length);
        else assert.ok(refused(got), String(got));
      }),
      { numRuns: 60 },
    );
  });
}

test('content that cannot be decrypted is damaged where the key is proven, and perhaps of another passphrase where it is not', async () => {
  const cipher = contentCiphers.find(({ name }) => name === 'aes256-gcm');
  assert.ok(cipher);
  const sealed = await collect(encrypted(pieces(Buffer.from('secret'), 3), { cipher, key: keyOf(32) }));
  for (const [proven, code] of [
    [true, 'archive-invalid'],
    [false, 'passphrase-wrong'],
  ] as const) {
    const wrong = { cipher, key: randomBytes(32), proven };
    await assert.rejects(
      collect(decrypted(pieces(sealed, 5), wrong, 'disk.vmdk')),
      (error) => error instanceof OvfError && error.code === code && error.location.file === 'disk.vmdk',
    );
  }
});

test('a stream is decrypted as it comes, with no more than a little held back', async () => {
  for (const cipher of contentCiphers) {
    const key = { cipher, key: keyOf(cipher.keyBytes), proven: true };
    let sent = 0;
    let got = 0;
    const source = async function* () {
      for (let index = 0; index < 64; index += 1) {
        assert.ok(sent - got <= 64 * 1024 + 64, `${sent - got} bytes are held`);
        sent += 64 * 1024;
        yield Buffer.alloc(64 * 1024, index);
      }
    };
    const sealed = encrypted(source(), key);
    for await (const part of decrypted(sealed, key, 'f')) got += part.length;
    assert.equal(got, sent);
  }
});
