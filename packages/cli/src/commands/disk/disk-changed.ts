import { once } from 'node:events';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import type { FoundMachineDisk } from '../../disk/machine-disk.ts';
import { formatBytes } from '../../output/format.ts';

interface ChangedOptions {
  readonly since: string;
  readonly snapshot?: string;
  readonly json?: boolean;
}

interface Area {
  readonly start: number;
  readonly length: number;
}

/** `hypo disk changed`: what changed on a disk of a machine, as backup tools ask for it. */
export const defineDiskChanged: CommandDefinition = (program, context) => {
  program
    .command('changed')
    .description('list what changed on a disk of a machine since an id, or what is stored on it')
    .argument('<machine>', 'name, path or id of the machine')
    .argument('[disk]', 'key or label of the disk; the only one unless told')
    .option('--since <id>', "id of a change, as an earlier answer gave it; '*' for what is stored", '*')
    .option('--snapshot <name>', 'up to this snapshot; up to now unless told')
    .addHelpText(
      'after',
      `
The answer ends with the id to ask with the next time. Changes are known from the first start, or the first snapshot,
after 'hypo vm change MACHINE --change-tracking yes'.

Examples:
  hypo disk changed web --snapshot monday
  hypo disk changed web 'Hard disk 2' --snapshot tuesday --since 52de1b3c-8a1e-4f0e-9d5b-2f6a1c0e7d11/7
  hypo disk changed web --since "$ID" --json | jq '.changedArea[]'`,
    )
    .action(async (machine: string, disk: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<ChangedOptions>(command);
      await onServer(command, context, async (session) => {
        const asked = {
          vm: machine,
          ...(disk === undefined ? {} : { disk }),
          ...(options.snapshot ? { snapshot: options.snapshot } : {}),
        };
        // What speaks to servers is loaded when one is spoken to: the other commands of disks need none.
        const { findMachineDisk } = await import('../../disk/machine-disk.ts');
        const found = await findMachineDisk(session, asked);
        // Told before the areas are asked for: what changes meanwhile is told the next time.
        const { changeId, capacity } = await diskNow(session, found);
        const areas = areasOf(session, found, { since: options.since, capacity, signal: context.signal });
        await tell(context, areas, { changeId, json: options.json ?? false });
      });
    });
};

async function diskNow(session: ServerSession, { machine, key, snapshot }: FoundMachineDisk) {
  const [found] =
    snapshot === undefined
      ? await session.client.retrieve(machine.ref, ['config'])
      : await session.client.retrieve(snapshot.snapshot, ['config']);
  const device = found?.values.config?.hardware.device?.find((one) => one.key === key);
  const backing = device?.backing as { readonly changeId?: string } | undefined;
  const { capacityInBytes = 0 } = (device ?? {}) as { readonly capacityInBytes?: number | bigint };
  return { changeId: backing?.changeId, capacity: Number(capacityInBytes) };
}

/** An answer goes as far as it goes: the rest is asked for. */
async function* areasOf(
  session: ServerSession,
  { machine, key, snapshot }: FoundMachineDisk,
  { since, capacity, signal }: { readonly since: string; readonly capacity: number; readonly signal: AbortSignal },
): AsyncGenerator<Area> {
  for (let startOffset = 0; startOffset < capacity && !signal.aborted; ) {
    const args = {
      ...(snapshot === undefined ? {} : { snapshot: snapshot.snapshot }),
      deviceKey: key,
      startOffset,
      changeId: since,
    };
    const info = await session.client.call(machine.ref, 'QueryChangedDiskAreas', args).catch(async (error: unknown) => {
      const { withName } = await import('../../inventory/run-task.ts');
      throw withName(machine.name, error);
    });
    for (const { start, length } of info.changedArea ?? []) yield { start: Number(start), length: Number(length) };
    if (Number(info.length) <= 0) return;
    startOffset += Number(info.length);
  }
}

/** Tells areas as they come: there may be millions. */
async function tell(
  { terminal }: CommandContext,
  areas: AsyncIterable<Area>,
  { changeId, json }: { readonly changeId: string | undefined; readonly json: boolean },
): Promise<void> {
  const line = async (words: string) => {
    if (!terminal.output.write(`${words}\n`)) await once(terminal.output, 'drain');
  };
  let bytes = 0;
  let count = 0;
  if (json) await line(`{"changeId":${JSON.stringify(changeId ?? null)},"changedArea":[`);
  else await line(columns('START', 'LENGTH', ''));
  for await (const area of areas) {
    if (json) await line(`${count === 0 ? '' : ','}${JSON.stringify(area)}`);
    else await line(columns(`${area.start}`, `${area.length}`, formatBytes(area.length)));
    bytes += area.length;
    count += 1;
  }
  if (json) await line(']}');
  else
    await line(
      `${count} areas, ${formatBytes(bytes)}; ask the next time with --since ${changeId ?? "'*': there is no id"}`,
    );
}

function columns(start: string, length: string, size: string): string {
  return `${start.padStart(16)} ${length.padStart(16)} ${size.padStart(10)}`.trimEnd();
}
