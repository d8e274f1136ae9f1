import assert from 'node:assert/strict';
import type { Daemon } from '@hypostyle/host/testing';
import type { ManagedObject, ManagedObjectReference } from '@hypostyle/vim';
import { hostOverlay } from '../../hosts/connection/connection-overlay.ts';
import { followedParts, mirrored } from '../../hosts/mirror/host-layout.ts';
import { type HostDocument, referenceOf } from '../../inventory/entity-document.ts';
import type { TestCenter } from '../center-fixture.ts';

type Ref = ManagedObjectReference;
type Values = Record<string, unknown>;

/**
 * Every property that is followed of a connected host's objects is at the center what it is there, references mapped.
 * `had` is what the host ever had, by its own references: what is gone is bound to nothing.
 */
export function checkHost(center: TestCenter, document: HostDocument, daemon: Daemon, had: Set<string>): void {
  const { core } = center.center;
  const link = core.hosts.link(document.value);
  assert.ok(link?.connected, `${document.name} is followed`);
  const { references } = link.mirror;
  const map = (ref: Ref) => references.toCenter(ref);
  const met = new Map<string, string>();
  const elsewhere = new Set<string>();
  for (const object of followed(daemon)) {
    const { type } = object.ref;
    had.add(object.ref.value);
    const where = `${document.name}: ${type} ${object.ref.value}`;
    const ref = references.toCenter(object.ref);
    assert.ok(ref !== undefined, `${where} is known at the center`);
    assert.equal(met.get(ref.value), undefined, `${where} shares ${ref.value} with ${met.get(ref.value)}`);
    met.set(ref.value, object.ref.value);
    const shown = core.registry.get(ref);
    assert.ok(shown !== undefined, `${where} is shown as ${ref.value}`);
    const entity = core.inventory.find(ref.value);
    if (entity?.type === 'VirtualMachine' && entity.host !== document.value) {
      // One machine that two hosts have registered is shown on one of them.
      elsewhere.add(object.ref.value);
      continue;
    }
    // A cluster's is made of several.
    if (type === 'EnvironmentBrowser' && core.inventory.find(document.parent ?? '')?.type !== 'ComputeResource')
      continue;
    for (const [name, expected] of Object.entries(expectedValues(center, object, document, map)))
      assert.deepEqual(shown.value(name), expected, `${where}: ${name} as ${ref.value}`);
  }
  for (const value of had)
    if (daemon.host.registry.byValue(value) === undefined)
      assert.ok(!references.isBound(value), `${document.name}: ${value} is gone, and bound to nothing`);
  const machines = core.inventory.machinesOnHost(document.value).filter(({ hostValue }) => hostValue !== undefined);
  assert.deepEqual(
    machines.map(({ hostValue }) => hostValue).sort(),
    daemon
      .machines()
      .map(({ value }) => value)
      .filter((value) => !elsewhere.has(value))
      .sort(),
    `${document.name}: the center has its machines and no others`,
  );
  for (const value of core.hosts.shared.ofHost(document.value))
    assert.ok(met.has(value), `${document.name}: it has ${value} still`);
  for (const part of link.mirror.parts())
    assert.ok(daemon.host.registry.byValue(part.hostValue), `${document.name}: it has the ${part.type} ${part.value}`);
}

function* followed(daemon: Daemon): Iterable<ManagedObject> {
  const { registry } = daemon.host;
  for (const type of Object.keys(mirrored)) yield* registry.all(type as keyof typeof mirrored);
  // Of the managers, those that hang on the host.
  const parts = followedParts.filter((type) => type !== 'OptionManager');
  for (const type of parts) yield* registry.all(type);
}

function expectedValues(
  center: TestCenter,
  object: ManagedObject,
  document: HostDocument,
  map: (ref: Ref) => Ref | undefined,
): Values {
  const { core } = center.center;
  const { type } = object.ref;
  const names: readonly string[] | undefined = mirrored[type as keyof typeof mirrored];
  const expected: Values = {};
  for (const property of object.managedType.properties) {
    if (names !== undefined && !names.includes(property.name)) continue;
    expected[property.name] = core.rewriter.rewrite(property.type, object.value(property.name), map);
  }
  if (type === 'HostSystem') Object.assign(expected, hostOverlay(expected, document, 'connected'));
  const ref = map(object.ref);
  const hosts = ref === undefined ? [] : core.hosts.shared.hostsOf(ref.value);
  if (type === 'Datastore' || type === 'Network') {
    if (hosts.length > 1) {
      // Each of the hosts says its own; the center shows one of them, and every host's mount.
      return {};
    }
    if (type === 'Datastore') expected.summary = { ...(expected.summary as object), multipleHostAccess: false };
    else expected.host = [referenceOf(document)];
  }
  return expected;
}
