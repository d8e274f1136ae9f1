import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { intervalOf, whatIsAsked } from '../../metric/metric-arguments.ts';
import { MetricServer } from '../../metric/metric-server.ts';
import { sparkline } from '../../metric/sparkline.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { formatDuration } from '../../output/format.ts';
import { count } from './events.ts';

interface SampleOptions {
  readonly count: number;
  readonly interval?: number;
  readonly instance: string;
}

/** `hypo metric`: what machines, hosts and what contains them use. */
export const defineMetric: CommandDefinition = (program, context) => {
  const metric = program
    .command('metric')
    .description('performance counters: what machines and hosts use')
    .addHelpText('after', '\nExample:\n  hypo metric sample web cpu.usage.average net.usage.average');
  defineList(metric, context);
  defineInfo(metric, context);
  defineSample(metric, context);
  defineInterval(metric, context);
};

function defineList(metric: Command, context: CommandContext): void {
  metric
    .command('ls')
    .description('list the counters of an object that have samples')
    .argument('<object>', 'machine, host, pool, datastore, cluster or datacenter: name, path or id')
    .option('-i, --interval <interval>', 'real, day, week, month, year, or seconds', intervalOf)
    .option('-g, --group <group>', 'only cpu, mem, disk, net …')
    .addHelpText('after', '\nExamples:\n  hypo metric ls web\n  hypo metric ls esx2 --group net --interval real')
    .action(async (name: string, _options: unknown, command: Command) => {
      const { interval, group } = optionsOf<{ readonly interval?: number; readonly group?: string }>(command);
      const rows = await onServer(command, context, async (session) => {
        const [inventory, server] = [await loadInventory(session), await MetricServer.open(session)];
        const found = await server.available(findAnything(inventory, name).ref, interval);
        return found
          .filter(({ info }) => group === undefined || info.groupInfo.key === group)
          .map(({ name: counter, info, instances }) => ({
            name: counter,
            key: info.key,
            unit: info.unitInfo.label,
            instances,
            summary: info.nameInfo.summary,
          }));
      });
      answerRows(context, command, rows, ['NAME', 'UNIT', 'INSTANCES', 'WHAT'], (row) => [
        row.name,
        row.unit,
        row.instances.filter((instance) => instance !== '').join(' ') || '-',
        row.summary,
      ]);
    });
}

function defineInfo(metric: Command, context: CommandContext): void {
  metric
    .command('info')
    .description('show what counters are')
    .argument('<counters...>', 'such as cpu.usage.average')
    .addHelpText('after', '\nExample:\n  hypo metric info cpu.usage.average net.usage.average')
    .action(async (names: readonly string[], _options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const server = await MetricServer.open(session);
        return names.map((name) => {
          const { info } = server.counter(name);
          return {
            name,
            key: info.key,
            label: info.nameInfo.label,
            summary: info.nameInfo.summary,
            unit: info.unitInfo.summary,
            statistics: info.statsType,
            level: info.level,
            perDeviceLevel: info.perDeviceLevel,
          };
        });
      });
      answerRows(context, command, rows, ['NAME', 'KEY', 'UNIT', 'TYPE', 'LEVEL', 'DEVICES', 'WHAT'], (row) => [
        row.name,
        String(row.key),
        row.unit,
        row.statistics,
        String(row.level ?? '-'),
        String(row.perDeviceLevel ?? '-'),
        row.summary,
      ]);
    });
}

function defineSample(metric: Command, context: CommandContext): void {
  metric
    .command('sample')
    .description('show samples of counters of objects')
    .argument('<what...>', 'objects and counters')
    .option('-n, --count <count>', 'last samples', count, 15)
    .option('-i, --interval <interval>', 'real, day, week, month, year, or seconds; the finest unless told', intervalOf)
    .option('--instance <name>', "a device, '*' for each of them; the object as a whole unless told", '')
    .addHelpText(
      'after',
      "\nExamples:\n  hypo metric sample web cpu.usage.average\n  hypo metric sample web db net.usage.average mem.usage.average -n 30\n  hypo metric sample web virtualDisk.write.average --instance '*'\n  hypo metric sample esx2 cpu.usage.average --interval day --json",
    )
    .action(async (words: readonly string[], _options: unknown, command: Command) => {
      const options = optionsOf<SampleOptions>(command);
      const { objects, counters } = whatIsAsked(words);
      const rows = await onServer(command, context, async (session) => {
        const [inventory, server] = [await loadInventory(session), await MetricServer.open(session)];
        const named = counters.map((name) => server.counter(name));
        const found = [];
        for (const object of objects.map((name) => findAnything(inventory, name))) {
          const interval = options.interval ?? (await server.finest(object.ref));
          const { count: most, instance } = options;
          const series = await server.sample(object.ref, named, { interval, count: most, instance });
          found.push(...series.map((each) => ({ object: object.name, id: object.ref.value, interval, ...each })));
        }
        return found;
      });
      const width = Math.max(20, (context.terminal.output.columns ?? 100) - 70);
      answerRows(
        context,
        command,
        rows,
        ['OBJECT', 'INSTANCE', 'COUNTER', 'LAST', 'MEAN', 'MOST', 'UNIT', ''],
        (row) => {
          const known = row.values.filter((value) => value !== undefined);
          const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
          return [
            row.object,
            row.instance || '-',
            row.name,
            shown(row.values.at(-1)),
            shown(known.length === 0 ? undefined : mean),
            shown(known.length === 0 ? undefined : Math.max(...known)),
            row.unit,
            sparkline(row.values, width),
          ];
        },
      );
    });
}

function defineInterval(metric: Command, context: CommandContext): void {
  const interval = metric
    .command('interval')
    .description('for how long samples are kept, and which')
    .addHelpText('after', '\nExample:\n  hypo metric interval ls');
  interval
    .command('ls')
    .description('list the intervals that are kept')
    .addHelpText('after', '\nExample:\n  hypo metric interval ls')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) =>
        (await MetricServer.open(session)).intervals.map((each) => ({
          id: each.samplingPeriod,
          name: each.name,
          seconds: each.length,
          level: each.level,
          enabled: each.enabled,
        })),
      );
      answerRows(context, command, rows, ['SAMPLE', 'NAME', 'KEPT FOR', 'LEVEL', 'ENABLED'], (row) => [
        formatDuration(row.id * 1000),
        row.name,
        formatDuration(row.seconds * 1000),
        String(row.level ?? '-'),
        row.enabled ? 'yes' : 'no',
      ]);
    });
  interval
    .command('change')
    .description('keep more or less')
    .argument('<interval>', 'day, week, month, year, or seconds of a sample', intervalOf)
    .option('--level <level>', '1 keeps what most people look at, 4 everything')
    .option('--enabled <yes|no>', 'whether it is kept at all')
    .option('--days <days>', 'for how long')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo metric interval change day --level 2\n  hypo metric interval change year --enabled no',
    )
    .action(async (period: number, _options: unknown, command: Command) => {
      const { level, enabled, days } = optionsOf<{ level?: string; enabled?: string; days?: string }>(command);
      if (level === undefined && enabled === undefined && days === undefined)
        throw new CliError('usage', 'Nothing is to be changed.', { next: 'Give --level, --enabled or --days.' });
      for (const [option, value] of [
        ['--level', level],
        ['--days', days],
      ] as const)
        if (value !== undefined && !/^\d{1,4}$/.test(value))
          throw new CliError('usage', `${option} takes a whole number.`);
      if (enabled !== undefined && enabled !== 'yes' && enabled !== 'no')
        throw new CliError('usage', '--enabled takes yes or no.');
      const changed = await onServer(command, context, async (session) => {
        const server = await MetricServer.open(session);
        const known = server.intervals.find(({ samplingPeriod }) => samplingPeriod === period);
        if (known === undefined) throw new CliError('not-found', `No interval of ${period} seconds is kept.`);
        const next = {
          ...known,
          ...(level === undefined ? {} : { level: Number(level) }),
          ...(enabled === undefined ? {} : { enabled: enabled === 'yes' }),
          ...(days === undefined ? {} : { length: Number(days) * 86_400 }),
        };
        await server.changeInterval(next);
        return next;
      });
      const { samplingPeriod: id, name, length: seconds } = changed;
      answer(
        context,
        command,
        { id, name, seconds, level: changed.level, enabled: changed.enabled },
        `Changed ${name}.`,
      );
    });
}

function shown(value: number | undefined): string {
  if (value === undefined) return '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1);
}
