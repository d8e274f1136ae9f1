import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { certificateOf, parseAliases, withAlias } from './aliases.ts';
import { endFault } from './guest-faults.ts';
import { attributeParameters, parseFileFacts } from './guest-file-facts.ts';
import { parseProcesses } from './guest-process-list.ts';
import { encodeParameter, exitCodes } from './guest-scripts.ts';
import { matchingNames } from './name-matching.ts';

const certificate = `-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUJNGuVGoVtutSbrdUkn7tmlIyU7owCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDYW5uMCAXDTI2MTEyMTIzMDMxNloYDzIxMjYxMDI4MjMwMzE2
WjAOMQwwCgYDVQQDDANhbm4wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS6P25K
CNNgnGDuaTropRMJ9a/rkpVGcdWlwnr1eD+4ylMoL+qN0dH0vRQ1zUl3EK9Dndv4
EFjLM+yLZGz4cSLFo1MwUTAdBgNVHQ4EFgQUFRHBLRO2I6BxmD7teZ48aN/FrTMw
HwYDVR0jBBgwFoAUFRHBLRO2I6BxmD7teZ48aN/FrTMwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiEAu1P732qk0jw7pB0UEpjSFlxTV+ZRQHG5C5mA
SvC6vTYCIBQtqGQWn0TnrYMWU+Yg+dcuso9z/WrDR9BYKo4t+pbU
-----END CERTIFICATE-----
`;

function isFault(type: string) {
  return (error: unknown) => {
    assert.ok(error instanceof VimFault, String(error));
    assert.equal(error.type, type);
    return true;
  };
}

it('gives a shell the same bytes, and nothing to run', () => {
  const script = `IFS= read -r value; value=$(printf '%b.' "$value"); printf %s "\${value%.}"`;
  const through = (value: string) => {
    const { stdout, status } = spawnSync('/bin/sh', ['-c', script], { input: encodeParameter(value) });
    assert.equal(status, 0);
    return stdout.toString('utf8');
  };
  for (const value of ['', '\n\n', "it's", '$(reboot)', '`x`', '\\0041\\c\\n', ' a  b ', 'ü%s%b', '-n', '"$HOME"'])
    assert.equal(through(value), value);
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\0', '')),
      (value) => {
        assert.equal(through(value), value);
        assert.match(encodeParameter(value), /^[\w./:=,@+\\-]*\n$/);
      },
    ),
    { numRuns: 25 },
  );
});

it('reads the processes of a Linux', () => {
  const stat = '12 (a (b) c) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 250 9 9';
  const text = `btime 1700000000
--
100
--
root:x:0:0::/root:/bin/sh
ann:x:1000:1000::/:/bin/sh
--
1/status:Uid:\t0\t0\t0\t0
12/status:Uid:\t1000\t1000\t1000\t1000
--
==> 1/stat <==
1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 0 9 9

==> 12/stat <==
${stat}

==> 1/cmdline <==

==> 12/cmdline <==
/bin/a\0--with\0two words\0`;
  const processes = parseProcesses(text, '--').map(({ name, pid, owner, cmdLine, startTime }) => {
    return [name, pid, owner, cmdLine, startTime];
  });
  assert.deepEqual(processes, [
    ['init', 1, 'root', 'init', '2023-11-14T22:13:20.000Z'],
    ['a (b) c', 12, 'ann', '/bin/a --with two words', '2023-11-14T22:13:22.500Z'],
  ]);
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 8 }), (parts) => {
      parseProcesses(parts.join('--\n'), '--');
      parseProcesses(`--\n--\n--\n--\n==> 1/stat <==\n${parts.join('')}`, '--');
    }),
  );
});

it('reads the facts of files, and writes attributes as tools take them', () => {
  const facts = parseFileFacts('81b4 12 1000 100 86400 86401');
  assert.equal(facts?.type, 'file');
  assert.equal(facts?.size, 12);
  const { permissions, ownerId, groupId, accessTime, modificationTime } = facts?.attributes ?? {};
  assert.deepEqual([permissions, ownerId, groupId], [0o664, 1000, 100]);
  assert.deepEqual([accessTime, modificationTime], ['1970-01-02T00:00:00.000Z', '1970-01-02T00:00:01.000Z']);
  assert.equal(parseFileFacts('41ed 0 0 0 0 0')?.type, 'directory');
  assert.equal(parseFileFacts('a1ff 0 0 0 0 0', 'there')?.attributes.symlinkTarget, 'there');
  assert.ok(facts !== undefined);
  assert.deepEqual(attributeParameters(facts.attributes), ['0664', '1000', '100', '86400', '86401']);
  assert.deepEqual(attributeParameters({ _typeName: 'GuestFileAttributes' } as never), ['', '', '', '', '']);
  assert.deepEqual(attributeParameters({ modificationTime: '$(reboot)', permissions: 1e9, ownerId: -1 } as never), [
    ...['5000', '4294967295'],
    ...['', '', ''],
  ]);
  fc.assert(fc.property(fc.string(), fc.string(), (line, link) => void parseFileFacts(line, link)));
});

it('lets a pattern of a client not think for ever', async () => {
  assert.deepEqual(await matchingNames(['a.txt', 'b.TXT', 'c'], '^\\w\\.txt$'), ['a.txt']);
  await assert.rejects(matchingNames(['a'], '((('), isFault('InvalidArgument'));
  await assert.rejects(matchingNames([`${'a'.repeat(60)}!`], '^(a+)+$'), isFault('InvalidArgument'));
});

it('keeps aliases that a guest may have broken', () => {
  const pem = certificate;
  const der = certificateOf(pem);
  assert.equal(certificateOf(der), der);
  assert.throws(() => certificateOf('nonsense'), isFault('InvalidArgument'));
  const any = { _typeName: 'GuestAuthAliasInfo', subject: { _typeName: 'GuestAuthAnySubject' }, comment: 'x' } as const;
  const named = { ...any, subject: { _typeName: 'GuestAuthNamedSubject', name: 'ann' } } as const;
  const once = withAlias(withAlias([], der, true, any as never), der, false, named as never);
  const twice = withAlias(once, der, true, { ...named, comment: 'y' } as never);
  assert.deepEqual(
    twice.map(({ subject, comment, mapped }) => [subject, comment, mapped]),
    [
      [undefined, 'x', true],
      ['ann', 'y', true],
    ],
  );
  assert.deepEqual(parseAliases(JSON.stringify(twice)), twice);
  fc.assert(fc.property(fc.string(), (text) => void parseAliases(text)));
  fc.assert(fc.property(fc.jsonValue(), (value) => void parseAliases(JSON.stringify([value]))));
});

it('says what a tool complained of', () => {
  const of = (errors: string, exitCode: number | undefined = 1) =>
    endFault(
      {
        exitCode,
        signal: exitCode === undefined ? 9 : undefined,
        output: Buffer.alloc(0),
        errors: Buffer.from(errors),
      },
      '/x',
    ).type;
  assert.equal(of("mkdir: can't create directory '/x': Permission denied"), 'GuestPermissionDenied');
  assert.equal(of('mv: cannot stat: No such file or directory'), 'FileNotFound');
  assert.equal(of('File exists'), 'FileAlreadyExists');
  assert.equal(of('rmdir: Directory not empty'), 'DirectoryNotEmpty');
  assert.equal(of('Not a directory'), 'NotADirectory');
  assert.equal(of('', exitCodes.noProcess), 'GuestProcessNotFound');
  assert.equal(of('', exitCodes.invalidLogin), 'InvalidGuestLogin');
  assert.equal(of('', undefined), 'OperationNotSupportedByGuest');
});
