import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmxFile } from './vmx-file.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('what is not changed is written back byte by byte', () => {
  const text =
    '.encoding = "UTF-8"\n# a remark\nmemsize="512"\n  odd line\nfoo.bar = "1|22x|7C"\n\nscsi0:0.fileName = "a b.vmdk"\n';
  const vmx = VmxFile.parse(bytes(text), 'a.vmx');
  assert.equal(vmx.toString(), text);
  assert.equal(vmx.get('MEMSIZE'), '512');
  assert.equal(vmx.get('foo.bar'), '1"x|');
  vmx.set('memsize', '512').set('numvcpus', '2').delete('foo.bar');
  assert.equal(vmx.toString(), `${text.replace('foo.bar = "1|22x|7C"\n', '')}numvcpus = "2"\n`);
});

test('keeps the line ends of a file from Windows, and the last of a repeated key counts', () => {
  const text = 'a = "1"\r\nA = "2"\r\n';
  const vmx = VmxFile.parse(bytes(text), 'a.vmx');
  assert.equal(vmx.get('a'), '2');
  assert.equal(vmx.toString(), text);
});

test('any value survives writing and reading', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      if (value.includes('\u0000')) return;
      const written = VmxFile.empty().set('guestinfo.x', value).toString();
      assert.equal(
        VmxFile.parse(bytes(written), 'x').get('guestinfo.x'),
        value.replace(/[\ud800-\udfff]/g, (c) => c),
      );
    }),
    { numRuns: 200 },
  );
});

test('any bytes are read or refused with a typed error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
      try {
        VmxFile.parse(input, 'x').entries();
      } catch (error) {
        assert.equal((error as Error).name, 'HostError');
      }
    }),
    { numRuns: 300 },
  );
});
