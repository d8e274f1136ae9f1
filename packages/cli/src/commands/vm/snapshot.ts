import type { VirtualMachineSnapshotInfo, VirtualMachineSnapshotTree } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { runTask } from '../../inventory/run-task.ts';
import { findSnapshot, listSnapshots, readSnapshots } from '../../inventory/snapshots.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { printable } from '../../output/table.ts';

const machineArgument = 'name, path or id of the machine';
const snapshotArgument = 'its name, path such as first/second, or id';

/** `hypo snapshot`: states of machines to come back to. */
export const defineSnapshot: CommandDefinition = (program, context) => {
  const snapshot = program
    .command('snapshot')
    .description('take, list, revert to, rename and remove snapshots of machines')
    .addHelpText(
      'after',
      `
Examples:
  hypo snapshot create web before-upgrade
  hypo snapshot tree web
  hypo snapshot revert web before-upgrade
  hypo snapshot rm web before-upgrade`,
    );
  defineCreate(snapshot, context);
  defineLists(snapshot, context);
  defineRevert(snapshot, context);
  defineRemove(snapshot, context);
  defineRenameSnapshot(snapshot, context);
};

function defineCreate(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('create')
    .description("take a snapshot of a machine's disks and configuration")
    .argument('<machine>', machineArgument)
    .argument('<name>', 'name of the snapshot')
    .option('--description <text>', 'what it is for', '')
    .option('--memory', 'with the memory of a running machine')
    .option('--quiesce', 'have the guest flush its file systems first, by its agent')
    .addHelpText('after', '\nExample:\n  hypo snapshot create web before-upgrade --quiesce')
    .action(async (machine: string, name: string, _options: unknown, command: Command) => {
      const {
        description,
        memory = false,
        quiesce = false,
      } = optionsOf<{
        description: string;
        memory?: boolean;
        quiesce?: boolean;
      }>(command);
      const made = await onServer(command, context, async (session) => {
        const { ref, name: shown } = await findMachine(session, machine);
        const result = await runTask(session, context, shown, () =>
          session.client.call(ref, 'CreateSnapshot_Task', { name, description, memory, quiesce }),
        );
        const id = (result as { readonly value?: string } | undefined)?.value ?? '';
        return { machine: shown, name, snapshot: id };
      });
      answer(context, command, made, `${made.machine}: snapshot ${name} taken`);
    });
}

function defineLists(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('ls')
    .description('list the snapshots of a machine')
    .argument('<machine>', machineArgument)
    .addHelpText('after', '\nExample:\n  hypo snapshot ls web --json')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const info = await readSnapshots(session, (await findMachine(session, machine)).ref);
        return listSnapshots(info).map(({ tree, path, current }) => ({
          id: tree.id,
          snapshot: tree.snapshot.value,
          name: tree.name,
          path,
          description: tree.description,
          created: tree.createTime,
          state: tree.state,
          quiesced: tree.quiesced,
          current,
        }));
      });
      answerRows(context, command, rows, ['ID', 'PATH', 'CREATED', 'STATE', 'CURRENT', 'DESCRIPTION'], (row) => [
        String(row.id),
        row.path,
        row.created,
        row.state,
        row.current ? 'yes' : '',
        row.description,
      ]);
    });
  snapshot
    .command('tree')
    .description('show the snapshots of a machine as a tree; a star is where it is')
    .argument('<machine>', machineArgument)
    .addHelpText('after', '\nExample:\n  hypo snapshot tree web --json')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const info = await onServer(command, context, async (session) =>
        readSnapshots(session, (await findMachine(session, machine)).ref),
      );
      const lines = listSnapshots(info).map(
        ({ tree, depth, current }) => `${'  '.repeat(depth)}${printable(tree.name)}${current ? ' *' : ''}`,
      );
      answer(context, command, plainInfo(info), lines.join('\n'));
    });
}

function defineRevert(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('revert')
    .description('make a machine what it was; what it is now is lost, and one that runs is ended')
    .argument('<machine>', machineArgument)
    .argument('[snapshot]', `${snapshotArgument}; the current one unless told`)
    .option('--suppress-power-on', 'leave a machine that ran suspended, with its memory')
    .addHelpText('after', '\nExamples:\n  hypo snapshot revert web\n  hypo snapshot revert web before-upgrade')
    .action(async (machine: string, name: string | undefined, _options: unknown, command: Command) => {
      const { suppressPowerOn = false } = optionsOf<{ suppressPowerOn?: boolean }>(command);
      const reverted = await onServer(command, context, async (session) => {
        const { ref, name: shown } = await findMachine(session, machine);
        const { client } = session;
        const to = name === undefined ? undefined : findSnapshot(await readSnapshots(session, ref), name).tree;
        await runTask(session, context, shown, () =>
          to === undefined
            ? client.call(ref, 'RevertToCurrentSnapshot_Task', { suppressPowerOn })
            : client.call(to.snapshot, 'RevertToSnapshot_Task', { suppressPowerOn }),
        );
        return { machine: shown, ...(to === undefined ? {} : { name: to.name }) };
      });
      const what = reverted.name === undefined ? 'its current snapshot' : `snapshot ${reverted.name}`;
      answer(context, command, reverted, `${reverted.machine}: reverted to ${what}`);
    });
}

function defineRemove(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('rm')
    .description('remove a snapshot; the machine keeps every byte that it has now')
    .argument('<machine>', machineArgument)
    .argument('[snapshot]', snapshotArgument)
    .option('--all', 'every snapshot of the machine')
    .option('--children', 'with all snapshots below it')
    .option('--no-consolidate', 'leave the disks as they are, to be merged later')
    .addHelpText('after', '\nExamples:\n  hypo snapshot rm web before-upgrade\n  hypo snapshot rm web --all')
    .action(async (machine: string, name: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<{ all?: boolean; children?: boolean; consolidate: boolean }>(command);
      if ((name === undefined) !== (options.all === true))
        throw new CliError('usage', 'Name a snapshot, or say --all.', { next: "'hypo snapshot tree' shows them." });
      const { consolidate } = options;
      const removed = await onServer(command, context, async (session) => {
        const { ref, name: shown } = await findMachine(session, machine);
        const { client } = session;
        const found = name === undefined ? undefined : findSnapshot(await readSnapshots(session, ref), name).tree;
        await runTask(session, context, shown, () =>
          found === undefined
            ? client.call(ref, 'RemoveAllSnapshots_Task', { consolidate })
            : client.call(found.snapshot, 'RemoveSnapshot_Task', {
                removeChildren: options.children ?? false,
                consolidate,
              }),
        );
        return { machine: shown, ...(found === undefined ? { all: true } : { name: found.name }) };
      });
      const what = 'name' in removed ? `snapshot ${removed.name}` : 'all snapshots';
      answer(context, command, removed, `${removed.machine}: ${what} removed`);
    });
  snapshot
    .command('consolidate')
    .description('merge the disks that removed snapshots left')
    .argument('<machine>', machineArgument)
    .addHelpText('after', '\nExample:\n  hypo snapshot consolidate web')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const shown = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        await runTask(session, context, name, () => session.client.call(ref, 'ConsolidateVMDisks_Task', {}));
        return name;
      });
      answer(context, command, { machine: shown }, `${shown}: disks merged`);
    });
}

function defineRenameSnapshot(snapshot: Command, context: CommandContext): void {
  snapshot
    .command('rename')
    .description('give a snapshot another name or description')
    .argument('<machine>', machineArgument)
    .argument('<snapshot>', snapshotArgument)
    .argument('<name>', 'its new name')
    .option('--description <text>', 'its new description')
    .addHelpText('after', '\nExample:\n  hypo snapshot rename web first before-upgrade')
    .action(async (machine: string, old: string, name: string, _options: unknown, command: Command) => {
      const { description } = optionsOf<{ description?: string }>(command);
      const renamed = await onServer(command, context, async (session) => {
        const { ref, name: shown } = await findMachine(session, machine);
        const { tree } = findSnapshot(await readSnapshots(session, ref), old);
        const change = { name, ...(description === undefined ? {} : { description }) };
        await session.client.call(tree.snapshot, 'RenameSnapshot', change);
        return { machine: shown, before: tree.name, name };
      });
      answer(context, command, renamed, `${renamed.machine}: snapshot ${renamed.before} renamed to ${name}`);
    });
}

/** As automation reads it: the interface's own members, without the names of their types. */
function plainInfo(info: VirtualMachineSnapshotInfo | undefined) {
  const reference = ({ type, value }: { readonly type: string; readonly value: string }) => ({ type, value });
  const plain = (trees: readonly VirtualMachineSnapshotTree[]): object[] =>
    trees.map(({ snapshot, vm, name, description, id, createTime, state, quiesced, childSnapshotList }) => ({
      snapshot: reference(snapshot),
      vm: reference(vm),
      name,
      description,
      id,
      createTime,
      state,
      quiesced,
      ...(childSnapshotList === undefined ? {} : { childSnapshotList: plain(childSnapshotList) }),
    }));
  return {
    ...(info?.currentSnapshot === undefined ? {} : { currentSnapshot: reference(info.currentSnapshot) }),
    rootSnapshotList: plain(info?.rootSnapshotList ?? []),
  };
}
