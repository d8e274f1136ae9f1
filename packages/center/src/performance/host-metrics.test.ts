import assert from 'node:assert/strict';
import { it } from 'node:test';
import { data, type ManagedObjectReference } from '@hypostyle/vim';
import fc from 'fast-check';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { HostMetrics } from './host-metrics.ts';

const perfManager = { type: 'PerformanceManager', value: 'ha-perfmgr' };
const machine: ManagedObjectReference = { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: '1' };

/** A host that numbers its counter 77, and answers queries as told. */
function hostThat(answers: (args: Record<string, unknown>) => unknown): HostLink {
  const element = (key: string) => data('ElementDescription', { key, label: key, summary: key });
  const counter = {
    key: 77,
    groupInfo: element('cpu'),
    nameInfo: element('usage'),
    unitInfo: element('percent'),
    rollupType: 'average',
    statsType: 'rate',
  };
  const layout = { content: { perfManager, propertyCollector: { type: 'PropertyCollector', value: 'pc' } } };
  const call = async (_self: unknown, method: string, args: Record<string, unknown>) => {
    if (method === 'QueryPerf') return answers(args);
    const propSet = [
      { name: 'perfCounter', val: [counter] },
      { name: 'historicalInterval', val: [] },
    ];
    return { objects: [{ obj: perfManager, propSet }] };
  };
  return { layout, call } as unknown as HostLink;
}

const csv = (sampleInfoCSV: string, value: string) => [
  data('PerfEntityMetricCSV', {
    entity: machine,
    sampleInfoCSV,
    value: [data('PerfMetricSeriesCSV', { id: data('PerfMetricId', { counterId: 77, instance: '' }), value })],
  }),
];

it('asks a host by its own numbers, and answers by those of the center', async () => {
  const metrics = new HostMetrics(new Map([['cpu.usage.average', 2]]));
  let asked: unknown;
  const link = hostThat((args) => {
    asked = args;
    return csv('20,2026-01-01T00:00:20Z,20,2026-01-01T00:00:40Z', '5,-1');
  });
  const wanted = [
    { counterId: 2, instance: '*' },
    { counterId: 9_999, instance: '' },
  ];
  const [samples] = await metrics.query(link, [{ entity: machine, wanted }], 20);
  assert.deepEqual(samples, {
    times: [Date.parse('2026-01-01T00:00:20Z'), Date.parse('2026-01-01T00:00:40Z')],
    series: [{ counterId: 2, instance: '', values: [5, -1] }],
  });
  assert.deepEqual((asked as { querySpec: { metricId: unknown }[] }).querySpec[0]?.metricId, [
    { counterId: 77, instance: '*' },
  ]);
});

it('takes nothing that a host garbles, and does not fail', async () => {
  const metrics = new HostMetrics(new Map([['cpu.usage.average', 2]]));
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 60 }), fc.string({ maxLength: 60 }), async (info, value) => {
      const [samples] = await metrics.query(
        hostThat(() => csv(info, value)),
        [{ entity: machine }],
        20,
      );
      for (const series of samples?.series ?? []) {
        assert.equal(series.values.length, samples?.times.length);
        assert.ok(Array.from(series.values).every((each) => Number.isSafeInteger(each) && each >= -1));
      }
      assert.ok(samples?.times.every(Number.isFinite));
    }),
    { numRuns: 60 },
  );
});
