import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { machinePlace } from '../../inventory/machine-place.ts';
import { answer } from '../../output/answer.ts';
import { type PlaceOptions, placeOf, placeOptions } from '../inventory/place-options.ts';

/** `hypo vm markastemplate` and `hypo vm markasvm`. */
export function defineMarks(vm: Command, context: CommandContext): void {
  vm.command('markastemplate')
    .description('make a template of a machine that is off')
    .argument('<machine>', 'name, path or id of the machine')
    .addHelpText('after', '\nExample:\n  hypo vm markastemplate golden')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const name = await onServer(command, context, async (session) => {
        const found = await findMachine(session, machine);
        await session.client.call(found.ref, 'MarkAsTemplate', {});
        return found.name;
      });
      answer(context, command, { name, template: true }, `${name}: is a template`);
    });
  const mark = vm
    .command('markasvm')
    .description('make a machine of a template')
    .argument('<template>', 'name, path or id of the template');
  placeOptions(mark)
    .addHelpText('after', '\nExample:\n  hypo vm markasvm golden --pool production')
    .action(async (template: string, _options: unknown, command: Command) => {
      const name = await onServer(command, context, async (session) => {
        const found = await findMachine(session, template);
        const { pool } = await machinePlace(session, placeOf(optionsOf<PlaceOptions>(command)));
        await session.client.call(found.ref, 'MarkAsVirtualMachine', { pool });
        return found.name;
      });
      answer(context, command, { name, template: false }, `${name}: is a machine`);
    });
}
