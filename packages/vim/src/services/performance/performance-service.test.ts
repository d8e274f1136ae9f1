import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type {
  PerfCompositeMetric,
  PerfCounterInfo,
  PerfEntityMetric,
  PerfEntityMetricCSV,
  PerfInterval,
  PerfMetricId,
} from '../../generated/types.ts';
import { VimFault } from '../../runtime/fault.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { TestClient } from '../testing/calls.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { counterKey, counters } from './counter-table.ts';
import { HistoryKeeper } from './history-keeper.ts';
import { PerformanceService } from './performance-service.ts';
import { RealtimeSamples, tickOf } from './realtime-samples.ts';

const usage = counterKey('cpu.usage.average');
const ready = counterKey('cpu.ready.summation');
const uptime = counterKey('sys.uptime.latest');
const machine: ManagedObjectReference<'VirtualMachine'> = { type: 'VirtualMachine', value: '1' };
const other: ManagedObjectReference<'VirtualMachine'> = { type: 'VirtualMachine', value: '2' };
const host: ManagedObjectReference<'HostSystem'> = { type: 'HostSystem', value: 'ha-host' };
const store: ManagedObjectReference<'Datastore'> = { type: 'Datastore', value: 'store' };

/** A manager over samples that the test makes. */
class World {
  readonly clock = new ManualClock();
  readonly persistence = new MemoryPersistence();
  hidden: string | undefined;
  samples!: RealtimeSamples;
  service!: PerformanceService;
  client!: TestClient;
  #keeper!: HistoryKeeper;

  async open(): Promise<this> {
    const registry = new Registry(loadSchema());
    const authorizer = {
      holds: (_session: unknown, object: ManagedObjectReference) => object.value !== this.hidden,
    };
    registry.commit((draft) => {
      for (const [{ type, value }, properties] of [
        [machine, {}],
        [other, {}],
        [host, { vm: [machine, other] }],
        [store, {}],
        [{ type: 'Folder', value: 'folder' }, {}],
      ] as const)
        draft.add({ type, methods: {} } as never, value, properties as never);
    });
    this.samples = new RealtimeSamples(['VirtualMachine', 'HostSystem']);
    this.service = await PerformanceService.open({
      registry,
      persistence: this.persistence,
      authorizer,
      current: this.samples,
      historyTypes: ['VirtualMachine', 'HostSystem', 'Datastore'],
      clock: this.clock,
    });
    const { history, intervals, levels } = this.service;
    this.#keeper = new HistoryKeeper({ samples: this.samples, history, intervals, levels }, this.clock.now());
    this.client = new TestClient({ registry, authorizer });
    this.client.session = { key: 's', userName: 'root', ended: false, onEnd: () => () => {} } as never;
    return this;
  }

  /** Samples of one tick; time goes on to it. */
  async tick(values: Readonly<Record<string, Readonly<Record<number, number>>>>, instance = ''): Promise<void> {
    this.clock.advance(20_000);
    const tick = tickOf(this.clock.now());
    for (const [entity, own] of Object.entries(values))
      for (const [counter, value] of Object.entries(own))
        this.samples.at(entity, tick).set(Number(counter), value, instance);
    this.samples.prune(tick);
    await this.#keeper.keep(tick);
  }

  call<T>(method: string, args: Record<string, unknown>): Promise<T> {
    return this.client.call(this.service.ref, method, args) as Promise<T>;
  }

  async query(spec: Record<string, unknown>): Promise<PerfEntityMetric> {
    const [metric] = await this.call<PerfEntityMetric[]>('QueryPerf', { querySpec: [spec] });
    assert.ok(metric);
    return metric;
  }

  async fault(method: string, args: Record<string, unknown>): Promise<string> {
    try {
      await this.call(method, args);
    } catch (error) {
      assert.ok(error instanceof VimFault, String(error));
      return error.type;
    }
    return 'none';
  }
}

const at = (seconds: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + seconds * 1000).toISOString();
const valuesOf = (metric: PerfEntityMetric, counterId: number, instance = '') =>
  metric.value?.find(({ id }) => id.counterId === counterId && id.instance === instance) as
    | { readonly value?: readonly number[] }
    | undefined;

describe('performance', () => {
  let world: World;
  beforeEach(async () => {
    world = await new World().open();
  });

  it('answers the last samples, in the order of time, normal and as CSV', async () => {
    for (const value of [100, 200, 300]) await world.tick({ 1: { [usage]: value } });
    const spec = { entity: machine, intervalId: 20, maxSample: 2, metricId: [{ counterId: usage, instance: '' }] };
    const normal = await world.query(spec);
    assert.deepEqual(valuesOf(normal, usage)?.value, [200, 300]);
    assert.deepEqual(
      normal.sampleInfo?.map(({ timestamp }) => timestamp),
      ['2026-01-01T00:00:40Z', '2026-01-01T00:01:00Z'],
    );
    const csv = (await world.query({ ...spec, format: 'csv' })) as unknown as PerfEntityMetricCSV;
    assert.equal(csv.sampleInfoCSV, '20,2026-01-01T00:00:40Z,20,2026-01-01T00:01:00Z');
    assert.equal(csv.value?.[0]?.value, '200,300');
  });

  it('takes a range after its start, up to and with its end', async () => {
    for (let index = 1; index <= 5; index += 1) await world.tick({ 1: { [usage]: index } });
    const metric = await world.query({ entity: machine, intervalId: 20, startTime: at(20), endTime: at(80) });
    assert.deepEqual(valuesOf(metric, usage)?.value, [2, 3, 4]);
  });

  it('tells instances from the whole, and gives all of both for *', async () => {
    await world.tick({ 1: { [usage]: 7 } });
    world.samples.at('1', tickOf(world.clock.now())).set(usage, 5, '0');
    const of = async (instance: string) =>
      ((await world.query({ entity: machine, metricId: [{ counterId: usage, instance }] })).value ?? []).map(
        ({ id }) => id.instance,
      );
    assert.deepEqual(await of(''), ['']);
    assert.deepEqual(await of('0'), ['0']);
    assert.deepEqual(await of('*'), ['', '0']);
    assert.deepEqual(await of('9'), []);
  });

  it('says -1 where one series has no value, and leaves out times without any', async () => {
    await world.tick({ 1: { [usage]: 1, [uptime]: 10 } });
    await world.tick({});
    await world.tick({ 1: { [uptime]: 50 } });
    const metric = await world.query({ entity: machine });
    assert.equal(metric.sampleInfo?.length, 2);
    assert.deepEqual(valuesOf(metric, usage)?.value, [1, -1]);
    assert.deepEqual(valuesOf(metric, uptime)?.value, [10, 50]);
  });

  it('keeps an hour and no more', async () => {
    for (let index = 0; index < 200; index += 1) await world.tick({ 1: { [usage]: index } });
    const metric = await world.query({ entity: machine, metricId: [{ counterId: usage, instance: '' }] });
    assert.equal(metric.sampleInfo?.length, 180);
    assert.deepEqual(valuesOf(metric, usage)?.value?.slice(-1), [199]);
    for (let index = 0; index < 220; index += 1) await world.tick({ 2: { [usage]: 1 } });
    assert.deepEqual([...world.samples.entities()], ['2']);
  });

  it('rolls up into history by the kind of counter, through every interval, across a restart', async () => {
    for (let index = 1; index <= 6 * 15; index += 1)
      await world.tick({ 1: { [usage]: index, [ready]: 2, [uptime]: index * 20 } });
    const read = (intervalId: number) => world.query({ entity: machine, intervalId });
    const fine = await read(300);
    assert.deepEqual(valuesOf(fine, usage)?.value, [8, 23, 38, 53, 68, 83]);
    assert.deepEqual(valuesOf(fine, ready)?.value, [30, 30, 30, 30, 30, 30]);
    assert.deepEqual(valuesOf(fine, uptime)?.value?.[0], 300);
    const coarse = await read(1_800);
    assert.deepEqual(coarse.sampleInfo, [
      { _typeName: 'PerfSampleInfo', timestamp: '2026-01-01T00:30:00Z', interval: 1_800 },
    ]);
    assert.deepEqual(valuesOf(coarse, usage)?.value, [46]);
    assert.deepEqual(valuesOf(coarse, ready)?.value, [180]);
    assert.deepEqual(valuesOf(coarse, uptime)?.value, [1_800]);
    await world.open();
    assert.deepEqual((await read(1_800)).value, coarse.value);
    assert.deepEqual((await read(20)).value, [], 'the last hour is in memory only');
  });

  it('rolls up again when samples of an interval come late', async () => {
    const { history } = world.service;
    const begin = Date.parse('2026-01-01T00:00:00Z');
    await history.add([{ entity: '1', time: begin + 300_000, values: { [usage]: 10 } }]);
    await history.settle(begin + 2_000_000);
    world.clock.advance(2_000_000);
    await history.add([{ entity: '1', time: begin + 600_000, values: { [usage]: 30 } }]);
    assert.deepEqual(valuesOf(await world.query({ entity: machine, intervalId: 1_800 }), usage)?.value, [20]);
  });

  it('lets go of what is older than an interval is long', async () => {
    const { history } = world.service;
    const begin = world.clock.now();
    await history.add([{ entity: '1', time: begin + 300_000, values: { [usage]: 10 } }]);
    world.clock.advance(3 * 86_400_000);
    await history.settle(world.clock.now());
    assert.deepEqual(await world.persistence.list('performance-300'), []);
    assert.equal((await world.persistence.list('performance-1800')).length, 1);
  });

  it('says what there is of whom', async () => {
    await world.tick({ 1: { [usage]: 1 } }, '0');
    const available = (args: object) => world.call<PerfMetricId[]>('QueryAvailablePerfMetric', { ...args });
    assert.deepEqual(await available({ entity: machine, intervalId: 20 }), [
      { _typeName: 'PerfMetricId', counterId: usage, instance: '0' },
      { _typeName: 'PerfMetricId', counterId: counterKey('cpu.usage.minimum'), instance: '0' },
      { _typeName: 'PerfMetricId', counterId: counterKey('cpu.usage.maximum'), instance: '0' },
    ]);
    assert.deepEqual(await available({ entity: machine, intervalId: 300 }), []);
    assert.deepEqual(await available({ entity: other }), []);
    const summary = (entity: ManagedObjectReference) => world.call('QueryPerfProviderSummary', { entity });
    const common = { _typeName: 'PerfProviderSummary', summarySupported: true };
    assert.deepEqual(await summary(machine), { ...common, entity: machine, currentSupported: true, refreshRate: 20 });
    assert.deepEqual(await summary(store), { ...common, entity: store, currentSupported: false });
  });

  it('answers an entity and its parts together', async () => {
    await world.tick({ 1: { [usage]: 1 }, 2: { [usage]: 2 }, 'ha-host': { [usage]: 3 } });
    const metricId = [{ counterId: usage, instance: '' }];
    const composite = await world.call<PerfCompositeMetric>('QueryPerfComposite', {
      querySpec: { entity: host, metricId },
    });
    assert.deepEqual(
      [composite.entity, ...(composite.childEntity ?? [])].map(
        (each) => valuesOf(each as PerfEntityMetric, usage)?.value,
      ),
      [[3], [1], [2]],
    );
    assert.equal(
      await world.fault('QueryPerfComposite', { querySpec: { entity: machine, metricId } }),
      'InvalidArgument',
    );
    assert.equal(await world.fault('QueryPerfComposite', { querySpec: { entity: host } }), 'InvalidArgument');
  });

  it('answers nobody who may not read the entity', async () => {
    world.hidden = '2';
    assert.equal(await world.fault('QueryPerf', { querySpec: [{ entity: other }] }), 'NoPermission');
    assert.equal(await world.fault('QueryAvailablePerfMetric', { entity: other }), 'NoPermission');
    assert.equal(await world.fault('QueryPerfProviderSummary', { entity: other }), 'NoPermission');
    const metricId = [{ counterId: usage, instance: '' }];
    const composite = await world.call<PerfCompositeMetric>('QueryPerfComposite', {
      querySpec: { entity: host, metricId },
    });
    assert.deepEqual(
      composite.childEntity?.map((child) => child.entity.value),
      ['1'],
    );
  });

  it('refuses what is no query', async () => {
    const refused = async (spec: object) => world.fault('QueryPerf', { querySpec: [{ entity: machine, ...spec }] });
    assert.equal(await refused({ intervalId: 21 }), 'InvalidArgument');
    assert.equal(await refused({ metricId: [{ counterId: 9_999, instance: '' }] }), 'InvalidArgument');
    assert.equal(await refused({ format: 'xml' }), 'InvalidArgument');
    assert.equal(await refused({ maxSample: 0 }), 'InvalidArgument');
    assert.equal(await refused({ startTime: at(60), endTime: at(20) }), 'InvalidArgument');
    assert.equal(await refused({ entity: store, intervalId: 20 }), 'InvalidArgument');
    assert.equal(await refused({ entity: { type: 'Folder', value: 'folder' } }), 'InvalidArgument');
    assert.equal(await refused({ entity: { type: 'VirtualMachine', value: 'gone' } }), 'ManagedObjectNotFound');
    assert.equal(await refused({ intervalId: 300 }), 'none');
  });

  it('has a catalogue with levels that can be changed, and changed back', async () => {
    const byLevel = async (level: number) =>
      (await world.call<PerfCounterInfo[]>('QueryPerfCounterByLevel', { level })).map(({ key }) => key);
    assert.equal((await byLevel(4)).length, counters.length);
    assert.ok(!(await byLevel(1)).includes(counterKey('mem.active.average')));
    const counterId = counterKey('mem.active.average');
    await world.call('UpdateCounterLevelMapping', { counterLevelMap: [{ counterId, aggregateLevel: 1 }] });
    assert.ok((await byLevel(1)).includes(counterId));
    await world.open();
    assert.ok((await byLevel(1)).includes(counterId), 'it lasts');
    await world.call('ResetCounterLevelMapping', { counters: [counterId] });
    assert.ok(!(await byLevel(1)).includes(counterId));
    const [info] = await world.call<PerfCounterInfo[]>('QueryPerfCounter', { counterId: [usage] });
    assert.deepEqual(
      [info?.groupInfo.key, info?.nameInfo.key, info?.rollupType, info?.statsType, info?.unitInfo.key, info?.level],
      ['cpu', 'usage', 'average', 'rate', 'percent', 1],
    );
    assert.equal(await world.fault('QueryPerfCounter', { counterId: [9_999] }), 'InvalidArgument');
    assert.equal(await world.fault('QueryPerfCounterByLevel', { level: 5 }), 'InvalidArgument');
    assert.equal(await world.fault('ResetCounterLevelMapping', { counters: [9_999] }), 'InvalidArgument');
    const wrong = { counterLevelMap: [{ counterId, aggregateLevel: 0 }] };
    assert.equal(await world.fault('UpdateCounterLevelMapping', wrong), 'InvalidArgument');
  });

  it('has four intervals, whose settings hold together', async () => {
    const intervals = () => world.service.registry.read(world.service.ref, 'historicalInterval') ?? [];
    assert.deepEqual(
      intervals().map(({ samplingPeriod, length }) => [samplingPeriod, length]),
      [
        [300, 86_400],
        [1_800, 604_800],
        [7_200, 2_592_000],
        [86_400, 31_536_000],
      ],
    );
    const update = (key: number, change: Partial<PerfInterval>) => {
      const before = intervals().find((interval) => interval.key === key);
      return world.fault('UpdatePerfInterval', { interval: { ...before, ...change } });
    };
    assert.equal(await update(2, { level: 2 }), 'InvalidArgument', 'not more than the finer one');
    assert.equal(await update(1, { level: 2 }), 'none');
    assert.equal(await update(2, { level: 2 }), 'none');
    assert.equal(await update(1, { level: 1 }), 'InvalidArgument');
    assert.equal(await update(1, { enabled: false }), 'InvalidArgument', 'others are made of it');
    assert.equal(await update(4, { enabled: false }), 'none');
    assert.equal(await update(2, { samplingPeriod: 900 }), 'InvalidArgument');
    assert.equal(await update(1, { length: 3 * 86_400 }), 'none');
    assert.equal(await update(1, { length: 9 * 86_400 }), 'InvalidArgument');
    assert.equal(
      await world.fault('QueryPerf', { querySpec: [{ entity: machine, intervalId: 86_400 }] }),
      'InvalidArgument',
    );
    const added = { key: 9, name: 'Hourly', samplingPeriod: 3_600, length: 86_400, level: 1, enabled: true };
    assert.equal(await world.fault('CreatePerfInterval', { intervalId: added }), 'none');
    assert.equal(await world.fault('CreatePerfInterval', { intervalId: { ...added, key: 10 } }), 'InvalidArgument');
    assert.equal(
      await world.fault('CreatePerfInterval', { intervalId: { ...added, key: 10, samplingPeriod: 3_700 } }),
      'InvalidArgument',
    );
    assert.deepEqual(
      intervals().map(({ key }) => key),
      [1, 2, 9, 3, 4],
    );
    assert.equal(await world.fault('RemovePerfInterval', { samplePeriod: 3_600 }), 'none');
    assert.equal(await world.fault('RemovePerfInterval', { samplePeriod: 3_600 }), 'InvalidArgument');
    assert.equal(await world.fault('RemovePerfInterval', { samplePeriod: 300 }), 'InvalidArgument');
  });

  it('keeps what the level of an interval says', async () => {
    const device = counterKey('virtualDisk.read.average');
    const kept = async () => {
      for (let index = 0; index < 15; index += 1) await world.tick({ 1: { [device]: 4, [usage]: index } });
      return (
        await world.query({
          entity: machine,
          intervalId: 300,
          startTime: at((world.clock.now() - Date.parse(at(0))) / 1000 - 1),
        })
      ).value?.map(({ id }) => id.counterId);
    };
    assert.deepEqual(await kept(), [usage]);
    const [finest] = world.service.intervals.infos();
    await world.call('UpdatePerfInterval', { interval: { ...finest, level: 4 } });
    assert.deepEqual(await kept(), [usage, counterKey('cpu.usage.minimum'), counterKey('cpu.usage.maximum'), device]);
  });
});
