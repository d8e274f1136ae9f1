import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { CliError } from '../errors.ts';
import { memoryContext, personContext } from '../testing/memory-terminal.ts';
import { parseHostAddress } from './host-address.ts';
import { confirmCertificate, tellRefusal } from './host-credentials.ts';

test('addresses of hosts are read as people write them', () => {
  for (const [text, host, port] of [
    ['esx2', 'esx2', 8443],
    ['esx2:443', 'esx2', 443],
    ['10.0.0.7:9443', '10.0.0.7', 9443],
    ['https://esx2.example.org:8443/', 'esx2.example.org', 8443],
    ['https://esx2/sdk', 'esx2', 8443],
    ['[fd00::2]:443', 'fd00::2', 443],
    ['fd00::2', 'fd00::2', 8443],
    ['[::1]', '::1', 8443],
  ] as const) {
    assert.deepEqual(parseHostAddress(text), { host, port }, text);
  }
  for (const text of ['', ':443', 'esx2:0', 'esx2:65536', 'esx2:x', 'root@esx2', 'esx2/vm', 'a b']) {
    assert.throws(() => parseHostAddress(text), { kind: 'usage' }, text);
  }
});

test('any text is an address or wrong usage', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const { host, port } = parseHostAddress(text);
        assert.ok(host !== '' && port >= 1 && port <= 65_535);
      } catch (error) {
        assert.ok(error instanceof CliError);
      }
    }),
  );
});

const spec = data('HostConnectSpec', { hostName: 'esx2', force: false });
const shows = (thumbprint: string) => async () => {
  throw new VimFault('SSLVerifyFault', { selfSigned: true, thumbprint }, 'not confirmed');
};

test('a certificate is trusted once a person says so', async () => {
  const person = personContext(['yes']);
  const confirmed = await confirmCertificate(person.context, spec, shows('AB:CD'));
  assert.equal(confirmed.sslThumbprint, 'AB:CD');
  assert.match(person.asked(), /AB:CD[\s\S]*Trust it\?/);
  await assert.rejects(confirmCertificate(personContext(['']).context, spec, shows('AB:CD')), /not trusted/);
});

test('without a person nothing is trusted, and the way to say so is told', async () => {
  await assert.rejects(confirmCertificate(memoryContext().context, spec, shows('AB:CD')), {
    next: /--thumbprint AB:CD$/,
  });
  const never = () => assert.fail('it is not asked for');
  const given = { ...spec, sslThumbprint: 'AB:CD' };
  assert.equal(await confirmCertificate(memoryContext().context, given, never), given);
});

test("a refused sign-in is told as the host's", async () => {
  const refuse = async () => {
    throw new VimFault('InvalidLogin', {}, 'Cannot complete login.');
  };
  await assert.rejects(tellRefusal('root', 'esx2', refuse), { message: /esx2 refuses/, next: /--host-password-file/ });
});
