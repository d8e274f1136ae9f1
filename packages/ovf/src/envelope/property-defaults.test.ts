import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEnvelope, OvfError, parseEnvelope, resolveProperties, withPropertyDefaults } from '../index.ts';

const envelope =
  parseEnvelope(`<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References/>
<DeploymentOptionSection><Info/><Configuration ovf:id="small"><Label>s</Label><Description>s</Description></Configuration><Configuration ovf:id="big"><Label>b</Label><Description>b</Description></Configuration></DeploymentOptionSection>
<VirtualSystemCollection ovf:id="all"><Info/><ProductSection><Info/><Property ovf:key="zone" ovf:type="string" ovf:value="a"/></ProductSection>
<VirtualSystem ovf:id="one"><Info/><ProductSection ovf:class="net"><Info/><Property ovf:key="port" ovf:type="uint16" ovf:value="80" ovf:userConfigurable="true"><Value ovf:value="8080" ovf:configuration="big"/></Property><Property ovf:key="fixed" ovf:type="boolean"/></ProductSection><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></VirtualSystemCollection></Envelope>`);

function valuesOf(changed: typeof envelope, configuration: string): Record<string, string> {
  const again = parseEnvelope(formatEnvelope(changed));
  const resolved = resolveProperties(again, [], { configuration, allowMissing: true });
  return Object.fromEntries(resolved.map(({ key, value }) => [key, value]));
}

test('defaults are set for all, or for a deployment option, also of what nobody may configure', () => {
  const changed = withPropertyDefaults(envelope, [
    { key: 'net.port', value: '0443' },
    { key: 'net.fixed', value: 'TRUE' },
    { key: 'zone', value: 'b' },
  ]);
  assert.deepEqual(valuesOf(changed, 'small'), { zone: 'b', 'net.port': '443', 'net.fixed': 'true' });
  assert.equal(valuesOf(changed, 'big')['net.port'], '8080');
  const big = withPropertyDefaults(envelope, [{ key: 'net.port', value: '81' }], { configuration: 'big' });
  assert.equal(valuesOf(big, 'big')['net.port'], '81');
  assert.equal(valuesOf(big, 'small')['net.port'], '80');
  const small = withPropertyDefaults(envelope, [{ key: 'zone', value: 'c' }], { configuration: 'small' });
  assert.deepEqual([valuesOf(small, 'small').zone, valuesOf(small, 'big').zone], ['c', 'a']);
});

test('a value that its type forbids, or a key that does not exist, is refused', () => {
  for (const [key, value] of [
    ['net.port', '70000'],
    ['nothing', 'x'],
  ] as const) {
    assert.throws(
      () => withPropertyDefaults(envelope, [{ key, value }]),
      (error) => error instanceof OvfError && error.code === 'property-invalid' && error.message.includes(key),
    );
  }
});
