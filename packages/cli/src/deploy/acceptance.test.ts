import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { manifestSigner, parseEnvelope, readCertificates } from '@hypostyle/ovf';
import { CliError } from '../errors.ts';
import { memoryContext, personContext } from '../testing/memory-terminal.ts';
import { type Acceptance, acceptPackage } from './acceptance.ts';

const fixture = (name: string) => readFileSync(new URL(`../../../ovf/fixtures/signatures/${name}`, import.meta.url));
const manifest = fixture('package.mf');
const signer = manifestSigner({
  key: fixture('signer.key'),
  certificates: Buffer.concat([fixture('signer.pem'), fixture('issuer.pem')]),
});
const certificate = signer.sign(manifest, 'package.mf');
const trusted = readCertificates(fixture('root.pem'));
const nothing: Acceptance = { acceptEula: false, trusted: [], requireSignature: false };

function envelopeWith(sections: string) {
  return parseEnvelope(
    `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References/><VirtualSystem ovf:id="vm"><Info/>${sections}<VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>`,
  );
}
const plain = envelopeWith('');
const licensed = envelopeWith('<EulaSection><Info/><License>You owe us a song.</License></EulaSection>');
const unsigned = { complete: true };

test('a licence is accepted by an option, by a yes, and not by silence', async () => {
  const source = { envelope: licensed, signed: unsigned };
  await acceptPackage(memoryContext().context, source, { ...nothing, acceptEula: true });
  await assert.rejects(
    acceptPackage(memoryContext().context, source, nothing),
    (error) => error instanceof CliError && error.kind === 'usage' && /--accept-eula/.test(error.next ?? ''),
  );
  const willing = personContext(['yes']);
  await acceptPackage(willing.context, source, nothing);
  assert.match(willing.asked(), /You owe us a song/);
  await assert.rejects(acceptPackage(personContext(['no']).context, source, nothing), /not accepted/);
  await acceptPackage(memoryContext().context, { envelope: plain, signed: unsigned }, nothing);
});

test('a signature that is wrong is always refused, one that is missing or unknown only where it is asked for', async () => {
  const accept = (signed: Parameters<typeof acceptPackage>[1]['signed'], changes: Partial<Acceptance> = {}) =>
    acceptPackage(memoryContext().context, { envelope: plain, signed }, { ...nothing, ...changes });
  const signed = { manifest, certificate, complete: true };
  await accept(signed);
  await accept(signed, { trusted });
  await accept(signed, { requireSignature: true });
  await accept(unsigned);
  await assert.rejects(accept(unsigned, { requireSignature: true }), /not signed/);
  await assert.rejects(accept(unsigned, { trusted }), /not signed/);
  await assert.rejects(accept(signed, { trusted: readCertificates(fixture('self.pem')) }), /not trusted/);
  const changed = Buffer.concat([manifest, Buffer.from('\n')]);
  await assert.rejects(accept({ ...signed, manifest: changed }), /signed another manifest/);
  await accept({ complete: false });
  await assert.rejects(accept({ complete: false }, { trusted }), /only after its files/);
});
