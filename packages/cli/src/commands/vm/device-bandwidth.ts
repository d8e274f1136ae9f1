import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { deviceChange, findDevice, readDevices, reconfigure } from '../../inventory/devices.ts';
import { answer } from '../../output/answer.ts';

interface BandwidthOptions {
  readonly limit?: number;
  readonly reservation?: number;
  readonly shares?: string;
}

/** `hypo device bandwidth`. */
export function defineDeviceBandwidth(device: Command, context: CommandContext): void {
  device
    .command('bandwidth')
    .description('limit what a network adapter may use, running or not')
    .argument('<machine>', 'name, path or id of the machine')
    .argument('<adapter>', 'such as ethernet-0')
    .option('--limit <megabits>', 'most megabits a second, each way; -1 is no limit', megabits)
    .option('--reservation <megabits>', 'kept and shown; hosts have nothing to keep for it', megabits)
    .option('--shares <shares>', 'low, normal, high or a number up to 100; kept and shown')
    .addHelpText('after', '\nExample:\n  hypo device bandwidth web ethernet-0 --limit 100')
    .action(async (machine: string, adapter: string, _options: unknown, command: Command) => {
      const options = optionsOf<BandwidthOptions>(command);
      const asked = bandwidth(options);
      await onServer(command, context, async (session) => {
        const found = await readDevices(session, machine);
        const one = findDevice(found, adapter) as ReturnType<typeof findDevice> & {
          readonly resourceAllocation?: object;
        };
        if (one.resourceAllocation === undefined) throw new CliError('usage', `${adapter} is no network adapter.`);
        const edited = { ...one, resourceAllocation: { ...one.resourceAllocation, ...asked } };
        await reconfigure(session, context, found, { deviceChange: [deviceChange('edit', edited)] });
      });
      answer(context, command, { machine, adapter, ...options }, `${machine}: ${adapter} changed`);
    });
}

function megabits(text: string): number {
  if (!/^(-1|\d{1,7})$/.test(text)) throw new InvalidArgumentError('Say a whole number of megabits a second, or -1.');
  return Number(text);
}

/** What an adapter may use, as the interface has it: members that were not said are not in it. */
export function bandwidth({ limit, reservation, shares }: BandwidthOptions): object {
  if (limit === undefined && reservation === undefined && shares === undefined)
    throw new CliError('usage', 'Say --limit, --reservation or --shares.');
  if (shares !== undefined && !/^(low|normal|high|\d{1,3})$/.test(shares))
    throw new CliError('usage', `'${shares}' is none of low, normal, high and a number.`);
  const level = shares !== undefined && /^\d/.test(shares) ? 'custom' : shares;
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(reservation === undefined ? {} : { reservation }),
    ...(level === undefined
      ? {}
      : { share: { _typeName: 'SharesInfo', level, shares: level === 'custom' ? Number(shares) : 0 } }),
  };
}
