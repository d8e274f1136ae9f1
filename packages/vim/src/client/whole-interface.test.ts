import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagementEndpoint } from '../codec/management-endpoint.ts';
import { testCertificate } from '../codec/testing/certificate.ts';
import { serveForTest } from '../codec/testing/test-server.ts';
import { ChangeFeed } from '../collector/change-feed.ts';
import { createPropertyCollector } from '../collector/property-collector.ts';
import type { Authorizer } from '../runtime/authorizer.ts';
import { Dispatcher } from '../runtime/dispatcher.ts';
import type { ManagedObjectClass } from '../runtime/managed-object.ts';
import { Registry } from '../runtime/registry.ts';
import { loadSchema } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { SessionService } from '../services/sessions/session-service.ts';
import { RecordedEvents } from '../services/testing/recorded-events.ts';
import { createClient } from './client.ts';

const schema = loadSchema();
const authorizer: Authorizer = { holds: () => true };

/** The real sessions and property collector behind the endpoint, and a task and a folder to look at. */
function wholeInterface() {
  const registry = new Registry(schema);
  const defects: unknown[] = [];
  const onDefect = (where: string, error: unknown) => defects.push([where, error]);
  const sessions = new SessionService({
    registry,
    events: new RecordedEvents(),
    identities: {
      authenticate: async (userName, password) =>
        password === 'secret' ? { userName, fullName: userName, groups: [] } : undefined,
    },
    onDefect,
  });
  const feed = new ChangeFeed(registry);
  const propertyCollector = createPropertyCollector({ registry, authorizer, feed });
  const content = { propertyCollector, sessionManager: sessions.ref, rootFolder: ref('Folder', 'group-d1'), about };
  const instance: ManagedObjectClass<'ServiceInstance'> = {
    type: 'ServiceInstance',
    methods: { RetrieveServiceContent: () => content as never },
  };
  const folder: ManagedObjectClass<'Folder'> = { type: 'Folder', methods: {} };
  const task: ManagedObjectClass<'Task'> = { type: 'Task', methods: {} };
  registry.commit((draft) => {
    draft.add(instance, 'ServiceInstance', { content: content as never });
    draft.add(folder, 'group-d1', { name: 'Datacenters' });
    draft.add(task, 'task-1', { info: taskInfo('queued', {}) });
  });
  const dispatcher = new Dispatcher({ registry, authorizer, onDefect });
  return { registry, dispatcher, authorizer, sessions, onDefect, defects };
}

const ref = <T extends string>(type: T, value: string): ManagedObjectReference<T> => ({ type, value });
const about = {
  ...{ name: 'a', fullName: 'a', vendor: 'v', version: '8', build: '1', osType: 'linux', productLineId: 'vpx' },
  ...{ apiType: 'VirtualCenter', apiVersion: '8.0.3.0' },
};

function taskInfo(state: string, more: object): never {
  return {
    ...{ _typeName: 'TaskInfo', key: 'task-1', task: ref('Task', 'task-1'), descriptionId: 'Folder.createVm', state },
    ...{ cancelled: false, cancelable: true, queueTime: '2026-01-01T00:00:00Z', eventChainId: 1 },
    ...{ reason: { _typeName: 'TaskReasonUser', userName: 'root' } },
    ...more,
  } as never;
}

for (const encoding of ['soap', 'json'] as const) {
  test(`${encoding}: follows objects and waits for a task through the real collector`, async () => {
    const service = wholeInterface();
    await using server = await serveForTest(new ManagementEndpoint(service));
    await using client = createClient({ url: server.url, encoding, tls: { ca: testCertificate }, schema });
    await client.signIn('root', 'secret');
    const { rootFolder } = await client.content();

    const names: unknown[] = [];
    const filter = { objectSet: [{ obj: rootFolder }], propSet: [{ type: 'Folder', pathSet: ['name'] }] };
    for await (const { filterSet = [] } of client.follow(filter)) {
      for (const { objectSet = [] } of filterSet) names.push(...objectSet.map(({ changeSet }) => changeSet?.[0]?.val));
      if (names.length === 2) break;
      service.registry.commit((draft) => draft.set(ref('Folder', 'group-d1'), { name: 'Renamed' }));
    }
    assert.deepEqual(names, ['Datacenters', 'Renamed']);

    const progress: number[] = [];
    const step = (state: string, more: object) =>
      service.registry.commit((draft) => draft.set(ref('Task', 'task-1'), { info: taskInfo(state, more) }));
    const result = client.waitForTask(ref('Task', 'task-1'), {
      onProgress: (percent) => {
        progress.push(percent);
        if (percent === 30) step('success', { result: ref('VirtualMachine', 'vm-5') });
      },
    });
    step('running', { progress: 30 });
    assert.equal(((await result) as ManagedObjectReference).value, 'vm-5');
    assert.equal(progress[0], 30);

    const fault = { _typeName: 'DuplicateName', name: 'web', object: ref('VirtualMachine', 'vm-5') };
    step('error', { error: { _typeName: 'LocalizedMethodFault', fault, localizedMessage: 'The name web exists.' } });
    await assert.rejects(client.waitForTask(ref('Task', 'task-1')), {
      type: 'DuplicateName',
      message: 'The name web exists.',
    });

    const aborted = new AbortController();
    const { signal } = aborted;
    step('queued', {});
    const waiting = client.waitForTask(ref('Task', 'task-1'), { signal });
    setTimeout(() => aborted.abort(new Error('enough')), 30);
    await assert.rejects(waiting, { message: 'enough' });
    assert.deepEqual(service.defects, []);
  });
}
