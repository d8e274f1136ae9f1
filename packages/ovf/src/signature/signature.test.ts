import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { manifestSigner, OvfError, type SignatureOptions, type SignatureStatus, verifySignature } from '../index.ts';
import { certificateOf, pemOf, signatureFixture } from '../testing/signature-fixtures.ts';
import { parseCertificateFile } from './certificate-file.ts';
import { verifyCms } from './cms.ts';

const manifest = signatureFixture('package.mf');
const trusted = [certificateOf('root')];

function signed(key: string, certificates: string, digest: 'SHA1' | 'SHA256' | 'SHA512' = 'SHA256'): Buffer {
  const signer = manifestSigner({ key: signatureFixture(`${key}.key`), certificates, digest });
  return Buffer.from(signer.sign(manifest, 'package.mf'));
}

/** The certificate of another, put in place of the signer's own: as one who signs with an expired certificate has it. */
function withCertificates(certificate: Buffer, certificates: string): Buffer {
  const [line] = certificate.toString('utf8').split('\n');
  return Buffer.from(`${line}\n${certificates}`);
}

function status(certificate: Uint8Array | undefined, options: SignatureOptions = {}, bytes: Uint8Array = manifest) {
  return verifySignature(bytes, certificate, options).status;
}

test('each state of a signature has its own verdict', () => {
  const good = signed('signer', pemOf('signer', 'issuer'));
  const changed = Buffer.from(manifest.toString().replace('0', '1'));
  const cases: [SignatureStatus, Uint8Array | undefined, SignatureOptions?, Uint8Array?][] = [
    ['unsigned', undefined],
    ['trusted', good, { trusted }],
    ['trusted', good, { trusted: [certificateOf('issuer')] }],
    ['trusted', good, { trusted: [certificateOf('signer')] }],
    ['untrusted-issuer', good],
    ['untrusted-issuer', good, { trusted: [certificateOf('self')] }],
    ['untrusted-issuer', signed('signer', pemOf('signer')), { trusted }],
    ['self-signed', signed('self', pemOf('self')), { trusted }],
    ['trusted', signed('self', pemOf('self')), { trusted: [certificateOf('self')] }],
    ['expired', withCertificates(good, pemOf('expired', 'issuer')), { trusted }],
    ['not-yet-valid', withCertificates(good, pemOf('future', 'issuer')), { trusted }],
    ['trusted', withCertificates(good, pemOf('expired', 'issuer')), { trusted, at: new Date('2020-06-01') }],
    ['expired', good, { trusted, at: new Date('2130-01-01') }],
    ['manifest-changed', good, { trusted }, changed],
    ['signature-wrong', withCertificates(good, pemOf('self')), { trusted }],
    ['signature-wrong', Buffer.from(good.toString().replace(/= ..../, '= 0000')), { trusted }],
    ['certificate-unreadable', Buffer.from('nothing'), { trusted }],
    ['certificate-unreadable', Buffer.from(good.toString().replaceAll('MII', 'AAA')), { trusted }],
    ['certificate-unreadable', Buffer.from(good.toString().split('\n')[0]!), { trusted }],
    ['trusted', signed('signer', pemOf('signer', 'issuer'), 'SHA1'), { trusted }],
    ['weak-digest', signed('signer', pemOf('signer', 'issuer'), 'SHA1'), { trusted, allowWeak: false }],
    ['trusted', signed('signer', pemOf('signer', 'issuer'), 'SHA512'), { trusted }],
    ['trusted', signed('ec', pemOf('issuer', 'ec')), { trusted }],
    ['signature-wrong', signed('ec', pemOf('ec', 'issuer')), { trusted }, changed],
  ];
  for (const [expected, certificate, options, bytes] of cases) {
    const verdict = verifySignature(bytes ?? manifest, certificate, options);
    assert.equal(verdict.status, expected, verdict.detail);
  }
  assert.deepEqual(verifySignature(manifest, signed('signer', pemOf('signer', 'issuer'), 'SHA1')).weaknesses, [
    'the signature is by SHA1, which is weak',
  ]);
});

test('a verdict names the signer and those who vouch for it', () => {
  const verdict = verifySignature(manifest, signed('signer', pemOf('issuer', 'signer')), { trusted });
  assert.deepEqual(
    verdict.certificates.map(({ subject }) => subject),
    ['CN=Example Signer, O=Example', 'CN=Example Issuer, O=Example', 'CN=Example Root, O=Example'],
  );
  assert.equal(verdict.algorithm, 'SHA256');
  const unknown = verifySignature(manifest, signed('signer', pemOf('signer', 'issuer')));
  assert.match(unknown.detail, /CN=Example Signer, O=Example.*CN=Example Root/);
});

test('an issuer that may not issue vouches for nobody', () => {
  // The signer's own certificate is no authority's, though somebody may trust it.
  const good = signed('signer', pemOf('signer', 'issuer'));
  assert.equal(status(good, { trusted: [certificateOf('ec')] }), 'untrusted-issuer');
});

for (const name of ['attributes.cms', 'plain-ec.cms', 'pss-keyid.cms', 'streamed.cms', 'smime.pkcs7']) {
  test(`a manifest signed as CMS by OpenSSL is read: ${name}`, () => {
    const file = signatureFixture(name);
    const options = { trusted: [...trusted, certificateOf('issuer')] };
    assert.equal(status(file, options), 'trusted');
    assert.equal(status(file), 'untrusted-issuer');
    const changed = Buffer.concat([manifest, Buffer.from('\n')]);
    // Without attributes or the content itself nobody can tell.
    const expected = name === 'plain-ec.cms' ? 'signature-wrong' : 'manifest-changed';
    assert.equal(status(file, options, changed), expected);
  });
}

test('where both forms are there, both count', () => {
  const good = signed('signer', pemOf('signer', 'issuer'));
  const both = Buffer.concat([good, signatureFixture('attributes.cms')]);
  assert.equal(status(both, { trusted }), 'trusted');
  const wrong = Buffer.from(both.toString().replace(/= ..../, '= 0000'));
  assert.equal(status(wrong, { trusted }), 'signature-wrong');
});

test('a key that belongs to no certificate, or cannot be read, does not sign', () => {
  const refuses = (words: RegExp) => (error: unknown) => error instanceof OvfError && words.test(error.message);
  const make = (key: Buffer | string, passphrase?: string) => () =>
    manifestSigner({ key, certificates: pemOf('signer'), ...(passphrase === undefined ? {} : { passphrase }) });
  assert.throws(make(signatureFixture('ec.key')), refuses(/belongs to the key/));
  assert.throws(make('nothing'), refuses(/cannot be read/));
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 1024,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
  });
  assert.throws(make(privateKey), refuses(/passphrase/));
  assert.throws(make(privateKey, 'wrong'), refuses(/passphrase/));
  assert.throws(make(privateKey, 'secret'), refuses(/belongs to the key/));
});

test('no signature is longer than the signer says', () => {
  for (const [key, certificates] of [
    ['signer', pemOf('signer')],
    ['ec', pemOf('ec')],
  ] as const) {
    const signer = manifestSigner({ key: signatureFixture(`${key}.key`), certificates });
    for (let index = 0; index < 20; index += 1) {
      const bytes = signer.sign(Buffer.from(`${index}`), 'package.mf');
      assert.ok(bytes.length <= signer.maxLength('package.mf'));
    }
  }
});

test('nothing that a certificate file can hold does more than make a verdict', () => {
  const files = [
    signed('signer', pemOf('signer', 'issuer')),
    signatureFixture('attributes.cms'),
    signatureFixture('pss-keyid.cms'),
    signatureFixture('streamed.cms'),
  ];
  const flips = fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.nat(3), flips, (index, changes) => {
      const bytes = Buffer.from(files[index]!);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      verifySignature(manifest, bytes, { trusted });
    }),
    { numRuns: 300 },
  );
  const der = parseCertificateFile(signatureFixture('attributes.cms')).cms!;
  const mayThrow = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      assert.ok(error instanceof OvfError, String(error));
    }
  };
  fc.assert(
    fc.property(flips, fc.nat(der.length), (changes, length) => {
      const bytes = Buffer.from(der);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      mayThrow(() => verifyCms(bytes, manifest));
      mayThrow(() => verifyCms(bytes.subarray(0, length), manifest));
    }),
    { numRuns: 300 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => mayThrow(() => verifyCms(bytes, manifest))));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void verifySignature(manifest, bytes)));
});
