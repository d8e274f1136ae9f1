import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Content,
  formatEnvelope,
  OvfError,
  parseEnvelope,
  placementGroups,
  placementPolicy,
  scaleOutChoices,
  validateEnvelope,
  virtualSystems,
  withInstances,
} from '../index.ts';

const corpus = (name: string) =>
  parseEnvelope(readFileSync(new URL(`../../fixtures/descriptors/ImportOvf2014__${name}.ovf`, import.meta.url)));

function descriptor(counts: string, { inner = '', options = '' } = {}): string {
  return `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/2" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2">
  <References/>${options}
  <PlacementGroupSection ovf:id="apart" ovf:policy="availability"><Info/></PlacementGroupSection>
  <VirtualSystemCollection ovf:id="shop"><Info/>
    <ScaleOutSection ovf:id="tier"><Info/><Description/>${counts}</ScaleOutSection>
    <StartupSection><Info/><Item ovf:id="db" ovf:order="1"/><Item ovf:id="tier" ovf:order="2" ovf:startDelay="3"/></StartupSection>
    <VirtualSystem ovf:id="db"><Info/><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem>
    <VirtualSystemCollection ovf:id="tier"><Info/><Name>Tier</Name>
      ${inner}
      <StartupSection><Info/><Item ovf:id="web" ovf:order="1"/></StartupSection>
      <PlacementSection ovf:group="apart"><Info/></PlacementSection>
      <VirtualSystem ovf:id="web"><Info/><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem>
    </VirtualSystemCollection>
  </VirtualSystemCollection>
</Envelope>`;
}

const count = (attributes: string) => `<InstanceCount ${attributes}/>`;
const counts = (entries: Readonly<Record<string, number>>) => new Map(Object.entries(entries));

function shape(content: Content): unknown {
  if (content.kind === 'VirtualSystem') return content.id;
  const order = content.startup?.items.map(({ id, order: at }) => `${id}@${at}`);
  return { [content.id]: content.contents.map(shape), ...(order === undefined ? {} : { order }) };
}

test('what scales out is there as often as the package says, with ids, names and order of its own', () => {
  const envelope = parseEnvelope(descriptor(count('ovf:default="2" ovf:minimum="1" ovf:maximum="4"')));
  assert.deepEqual(shape(withInstances(envelope).content), {
    shop: ['db', { 'tier-1': ['web-1'], order: ['web-1@1'] }, { 'tier-2': ['web-2'], order: ['web-2@1'] }],
    order: ['db@1', 'tier-1@2', 'tier-2@2'],
  });
  const { content } = withInstances(envelope, { counts: counts({ tier: 3 }) });
  assert.ok(content.kind === 'VirtualSystemCollection');
  assert.deepEqual(
    content.contents.map(({ name }) => name?.text),
    [undefined, 'Tier-1', 'Tier-2', 'Tier-3'],
  );
  assert.equal(content.startup?.items[3]?.startDelay, 3);
  assert.deepEqual(
    placementGroups(withInstances(envelope))[0]?.systems.map(({ id }) => id),
    ['web-1', 'web-2'],
  );
});

test('a collection that scales out within one that does multiplies', () => {
  const inner = `<ScaleOutSection ovf:id="web"><Info/>${count('ovf:default="2"')}</ScaleOutSection>`;
  const envelope = parseEnvelope(descriptor(count('ovf:default="2"'), { inner }));
  assert.deepEqual(
    virtualSystems(withInstances(envelope)).map(({ id }) => id),
    ['db', 'web-1-1', 'web-2-1', 'web-1-2', 'web-2-2'],
  );
  assert.equal(virtualSystems(withInstances(envelope, { counts: counts({ web: 5, tier: 3 }) })).length, 16);
});

test('a deployment option has a count of its own, and a minimum of none may be none', () => {
  const option = (id: string) => `<Configuration ovf:id="${id}"><Label/><Description/></Configuration>`;
  const options = `<DeploymentOptionSection><Info/>${option('small')}${option('large')}</DeploymentOptionSection>`;
  const own = `${count('ovf:default="1" ovf:minimum="0"')}${count('ovf:default="5" ovf:minimum="4" ovf:maximum="6" ovf:configuration="large"')}`;
  const text = descriptor(own, { options });
  assert.deepEqual(
    validateEnvelope(text).issues.filter(({ location }) => location.section === 'ScaleOutSection'),
    [],
  );
  const envelope = parseEnvelope(text);
  assert.deepEqual(
    scaleOutChoices(parseEnvelope(formatEnvelope(envelope)), 'large'),
    scaleOutChoices(envelope, 'large'),
  );
  assert.match(formatEnvelope(envelope), /<InstanceCount[^>]*configuration="large"/);
  const choice = (configuration: string) => {
    const [{ minimum, default: usual, maximum } = { minimum: -1, default: -1, maximum: -1 }] = scaleOutChoices(
      envelope,
      configuration,
    );
    return [minimum, usual, maximum];
  };
  assert.deepEqual(choice('small'), [0, 1, Number.POSITIVE_INFINITY]);
  assert.deepEqual(choice('large'), [4, 5, 6]);
  const systems = (configuration: string, tier: number) =>
    virtualSystems(withInstances(envelope, { configuration, counts: counts({ tier }) })).length;
  assert.deepEqual([systems('small', 0), systems('large', 6)], [1, 7]);
  assert.throws(() => systems('large', 7), /"tier" has 4 to 6 instances, not 7/);
});

test('a count out of bounds, of nothing, or of too many is refused by name', () => {
  const envelope = parseEnvelope(descriptor(count('ovf:default="2" ovf:maximum="4"')));
  const refused = (asked: Record<string, number>, words: RegExp) =>
    assert.throws(
      () => withInstances(envelope, { counts: counts(asked) }),
      (error) => error instanceof OvfError && error.code === 'scale-out-invalid' && words.test(error.message),
    );
  refused({ tier: 5 }, /ScaleOutSection: "tier" has 1 to 4 instances, not 5/);
  refused({ tier: 0 }, /1 to 4 instances, not 0/);
  refused({ tier: 1.5 }, /not 1\.5/);
  refused({ web: 2 }, /"web" does not scale out: only tier can/);
  const unbound = parseEnvelope(descriptor(count('ovf:default="2"')));
  assert.throws(() => withInstances(unbound, { counts: counts({ tier: 900_000_000 }) }), /more than 1000/);
});

test('the descriptors of the corpus scale out', () => {
  const ids = (name: string, asked = {}) => shape(withInstances(corpus(name), { counts: counts(asked) }).content);
  assert.deepEqual(ids('scaleout'), { vsc: ['vs1-1', 'vs1-2'] });
  assert.deepEqual(ids('scaleoutUnbound', { vs1: 7 }), { vsc: [1, 2, 3, 4, 5, 6, 7].map((n) => `vs1-${n}`) });
  assert.deepEqual(ids('scaleoutVApp'), { vsc: [{ 'vscsub-1': [] }, { 'vscsub-2': [] }] });
  assert.equal(JSON.stringify(ids('scaleoutStartup')).match(/grandChildVapp-\d-\d":/g)?.length, 4);
});

test('whatever the counts, ids are unique and the order names what is there', () => {
  fc.assert(
    fc.property(fc.nat(6), fc.nat(6), fc.integer({ min: -1, max: 8 }), (minimum, more, asked) => {
      const envelope = parseEnvelope(
        descriptor(count(`ovf:default="${minimum}" ovf:minimum="${minimum}" ovf:maximum="${minimum + more}"`)),
      );
      const inBounds = asked >= minimum && asked <= minimum + more;
      const expand = () => withInstances(envelope, { counts: counts({ tier: asked }) });
      if (!inBounds) {
        assert.throws(expand, OvfError);
        return;
      }
      const { content } = expand();
      assert.ok(content.kind === 'VirtualSystemCollection');
      const ids = content.contents.map(({ id }) => id);
      assert.equal(new Set(ids).size, asked + 1);
      assert.deepEqual(
        content.startup?.items.map(({ id }) => id),
        ids,
      );
    }),
  );
});

test('policies of placement are known by their names', () => {
  assert.deepEqual(placementPolicy('availability'), { kind: 'availability', scope: 'host' });
  assert.deepEqual(placementPolicy('affinity-rack'), { kind: 'affinity', scope: 'rack' });
  for (const name of [undefined, '', 'near', 'affinity-moon', 'urn:affinity'])
    assert.equal(placementPolicy(name), undefined);
});
