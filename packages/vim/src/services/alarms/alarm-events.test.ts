import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventService } from '../events/event-service.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { allowEverything } from '../testing/calls.ts';
import { AlarmService } from './alarm-service.ts';
import { alarmWorld, eventAlarm, spec } from './testing/alarm-world.ts';

test('events of the EventManager trigger alarms, and theirs are kept with the others', async () => {
  const { registry, root, host, service: other, client } = await alarmWorld();
  other.close();
  registry.commit((draft) => draft.remove(other.ref));
  const persistence = new MemoryPersistence();
  const events = await EventService.open({ registry, persistence, authorizer: allowEverything });
  const options = { registry, persistence, events, authorizer: allowEverything, rootFolder: root };
  const service = await AlarmService.open(options);
  const alarm = await client.call(service.ref, 'CreateAlarm', { entity: root, spec: spec('lost', eventAlarm) });
  events.post(undefined, { type: 'HostConnectionLostEvent', entity: host });
  await service.settled();
  assert.equal(service.worstStatus(host), 'red');
  await client.call(service.ref, 'AcknowledgeAlarm', { alarm, entity: host });
  const kept = await persistence.list<{ event: { _typeName: string; fullFormattedMessage: string } }>('events');
  assert.deepEqual(
    kept.map(({ value: { event } }) => event.fullFormattedMessage),
    [
      "Created alarm 'lost' on Datacenters",
      'Host h1 in dc is not responding',
      "Alarm 'lost' on h1 changed from Gray to Red",
      "Acknowledged alarm 'lost' on h1",
    ],
  );
  service.close();
});
